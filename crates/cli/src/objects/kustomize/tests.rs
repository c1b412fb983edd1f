//! Kustomizations of files made for one test.

use super::*;
