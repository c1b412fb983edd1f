//! Owns the coarse classes every error of this crate falls into, so that a caller can answer
//! with the right code. Never carries text of its own.

/// What class of failure an error belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The named thing does not exist, here or at the registry.
    NotFound,
    /// The registry wants credentials, or refused those it got.
    Denied,
    /// The caller's input (name, archive, option) is malformed or not supported.
    Invalid,
    /// What was sent or stored does not match its digest, size or type.
    Corrupt,
    /// The thing is in use, ambiguous or already there.
    Conflict,
    /// The registry could not be reached, or kept failing.
    Unavailable,
    /// A bound was hit: disk, entries, bytes.
    Exhausted,
    /// The local disk or kernel refused.
    Internal,
}

/// The class of an I/O error: a full disk or quota is [`ErrorKind::Exhausted`].
pub(crate) fn io_kind(error: &std::io::Error) -> ErrorKind {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
        _ => ErrorKind::Internal,
    }
}
