//! Whose place is taken.
