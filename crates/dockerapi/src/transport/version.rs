//! The `/v1.43` prefix of a path: taken off, and refused when too old or too new.
//!
//! What a version changes in an answer is decided where the answer is made.

use weft_api::docker::{API_VERSION, MIN_API_VERSION};

use crate::error::ApiError;

/// `major.minor`, ordered by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16);

impl Version {
    /// What a path without prefix means.
    pub fn newest() -> Self {
        parse(API_VERSION).expect("the constant is a version")
    }
}

fn parse(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    let number = |part: &str| {
        let digits = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    };
    Some(Version(number(major)?, number(minor)?))
}

/// Splits `/v1.43/info` into version and `/info`.
pub fn split(path: &str) -> Result<(Version, &str), ApiError> {
    let newest = Version::newest();
    let Some(rest) = path.strip_prefix("/v") else {
        return Ok((newest, path));
    };
    let (number, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some(version) = parse(number) else {
        return Ok((newest, path));
    };
    if version > newest {
        return Err(ApiError::invalid(format!(
            "client version {number} is too new. Maximum supported API version is {API_VERSION}"
        )));
    }
    if version < parse(MIN_API_VERSION).expect("the constant is a version") {
        return Err(ApiError::invalid(format!(
            "client version {number} is too old. Minimum supported API version is \
             {MIN_API_VERSION}, please upgrade your client to a newer version"
        )));
    }
    Ok((version, tail))
}

#[cfg(test)]
mod tests {
    use super::{Version, split};

    #[test]
    fn prefixes() {
        let ok = |path| split(path).map_err(|e| e.to_string());
        assert_eq!(ok("/v1.43/info"), Ok((Version(1, 43), "/info")));
        assert_eq!(ok("/info"), Ok((Version(1, 47), "/info")));
        assert_eq!(ok("/version"), Ok((Version(1, 47), "/version")));
        assert_eq!(ok("/volumes/v1.2"), Ok((Version(1, 47), "/volumes/v1.2")));
        assert_eq!(ok("/v1.43"), Ok((Version(1, 43), "")));
        assert_eq!(ok("/v1.x/info"), Ok((Version(1, 47), "/v1.x/info")));
        assert!(ok("/v1.48/info").unwrap_err().contains("too new"));
        assert!(ok("/v9999.0/info").unwrap_err().contains("too new"));
        assert!(ok("/v1.9/info").unwrap_err().contains("too old"));
        assert!(ok("/v0.0/info").unwrap_err().contains("too old"));
    }
}
