//! What sort of failure an error is, for those who have to answer with a code.

/// The sorts of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was named does not exist.
    NotFound,
    /// The name is taken.
    Exists,
    /// It is in use, or something else has what it needs.
    Conflict,
    /// The request makes no sense.
    Invalid,
    /// None is left.
    Exhausted,
    /// The kernel or the disk failed.
    Internal,
}
