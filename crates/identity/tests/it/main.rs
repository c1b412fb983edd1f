//! Identity with real peers: Go's TLS and YAML in kubectl, OpenSSL's in openssl and curl.

mod tls;
