//! Owns unpacking layer archives beneath a root directory.
