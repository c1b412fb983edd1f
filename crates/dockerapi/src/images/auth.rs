//! Credentials a client sends along.
//!
//! They are passed on and never kept or logged.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use weft_api::docker::AuthConfig;
use weft_image::Credentials;

use crate::error::ApiError;

const CODEC: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What `X-Registry-Auth` says; nothing when it is absent or holds neither name nor token.
pub fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, ApiError> {
    let Some(value) = headers.get("x-registry-auth") else {
        return Ok(None);
    };
    let wrong = || ApiError::invalid("X-Registry-Auth is not base64 of a JSON object");
    let text = value
        .to_str()
        .map_err(|_| wrong())?
        .replace('+', "-")
        .replace('/', "_");
    if text.is_empty() {
        return Ok(None);
    }
    let json = CODEC.decode(text).map_err(|_| wrong())?;
    let auth: AuthConfig = serde_json::from_slice(&json).map_err(|_| wrong())?;
    lower(auth)
}

/// The credentials in an `AuthConfig`.
pub fn lower(auth: AuthConfig) -> Result<Option<Credentials>, ApiError> {
    if !auth.registrytoken.is_empty() {
        return Err(ApiError::invalid("not supported: registrytoken"));
    }
    let (mut username, mut password) = (auth.username, auth.password);
    if username.is_empty() && !auth.auth.is_empty() {
        let wrong = || ApiError::invalid("'auth' is not base64 of name:password");
        let text = auth.auth.replace('+', "-").replace('/', "_");
        let pair = CODEC
            .decode(text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let (name, secret) = pair
            .as_deref()
            .and_then(|p| p.split_once(':'))
            .ok_or_else(wrong)?;
        (username, password) = (name.to_owned(), secret.to_owned());
    }
    let identity_token = Some(auth.identitytoken).filter(|token| !token.is_empty());
    if username.is_empty() && identity_token.is_none() {
        return Ok(None);
    }
    Ok(Some(Credentials {
        username,
        password,
        identity_token,
    }))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    fn header(text: &str) -> Result<Option<(String, String)>, String> {
        let mut headers = HeaderMap::new();
        headers.insert("x-registry-auth", text.parse().unwrap());
        let found = credentials(&headers).map_err(|error| error.to_string())?;
        Ok(found.map(|found| (found.username, found.password)))
    }

    #[test]
    fn every_way_to_say_it() {
        let pair = Some(("a".to_owned(), "b?~".to_owned()));
        for codec in [
            &base64::prelude::BASE64_URL_SAFE,
            &base64::prelude::BASE64_STANDARD,
        ] {
            let plain = codec.encode(r#"{"username":"a","password":"b?~"}"#);
            assert_eq!(header(&plain), Ok(pair.clone()));
            assert_eq!(header(plain.trim_end_matches('=')), Ok(pair.clone()));
        }
        let inner = base64::prelude::BASE64_STANDARD.encode("a:b?~");
        let outer = base64::prelude::BASE64_URL_SAFE.encode(format!(r#"{{"auth":"{inner}"}}"#));
        assert_eq!(header(&outer), Ok(pair));
        assert_eq!(
            header(&base64::prelude::BASE64_URL_SAFE.encode("{}")),
            Ok(None)
        );
        assert!(header("!!").unwrap_err().contains("X-Registry-Auth"));
        assert!(header("e30x").is_err());
    }
}
