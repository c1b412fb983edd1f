//! Identity with real peers: Go's TLS and YAML in kubectl, OpenSSL's in openssl and curl.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod tls;
