//! The closed set of failure kinds that every face of weft translates into its own status.
//!
//! It never carries a message: the words belong to the error that has the code.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a request failed, in the terms a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The named thing does not exist.
    NotFound,
    /// A thing of that name is there already.
    Exists,
    /// The thing is in a state, or in a use, that forbids the operation.
    Conflict,
    /// The request itself is wrong: a value, a combination or an unsupported field.
    Invalid,
    /// Credentials are missing or wrong.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// The object changed, or the host lacks what the request requires.
    Precondition,
    /// A bound was reached: disk, ids, addresses, connections.
    Exhausted,
    /// Something this needs does not answer now; trying again later may work.
    Unavailable,
    /// A bug or a broken machine.
    Internal,
}

impl ErrorCode {
    /// The stable name, as it is serialised.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Exists => "exists",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Precondition => "precondition",
            Self::Exhausted => "exhausted",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn the_serialised_name_is_the_displayed_one() {
        for code in [
            ErrorCode::NotFound,
            ErrorCode::Unauthenticated,
            ErrorCode::Internal,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.to_string());
        }
    }
}
