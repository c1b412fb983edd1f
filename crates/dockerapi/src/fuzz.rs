//! Entry points for fuzzing: bytes in, no panic.
//!
//! Nothing here is part of the API.

use crate::lower;
use crate::transport::filters::Filters;
use crate::transport::hijack::{DetachWatch, detach_keys};
use crate::transport::query::Query;
use crate::transport::{body, moment, route, version};

/// The bytes as the body of every request that has one.
pub fn requests(bytes: &[u8]) {
    if let Ok(body) = body::decode(bytes) {
        let _ = lower::container(body);
    }
    if let Ok(body) = body::decode(bytes) {
        let _ = lower::exec(body);
    }
    if let Ok(body) = body::decode(bytes) {
        let _ = lower::update(&body);
    }
    if let Ok(body) = body::decode(bytes) {
        let _ = lower::network_create(&body);
    }
    if let Ok(body) = body::decode(bytes) {
        let _ = lower::endpoint("net", &body);
    }
}

/// The bytes as path, query, filters, time and detach keys.
pub fn addresses(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = version::split(&text);
    let _ = route::matches("/images/{name*}/json", &text);
    if let Ok(query) = Query::parse(&text) {
        let _ = Filters::parse(&query, &["label", "status"]);
        let _ = query.number::<i64>("limit");
    }
    let _ = moment::parse("since", &text, jiff::Timestamp::UNIX_EPOCH);
    if let Some(keys) = detach_keys(&text) {
        DetachWatch::new(keys).feed(bytes);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn odd_bytes_do_not_panic() {
        let odd: [&[u8]; 6] = [
            b"",
            b"{}",
            b"\xff\xfe",
            b"/v1.43//%",
            b"filters=%7B%22a%22%3A0%7D&limit=9e9",
            br#"{"HostConfig":{"Tmpfs":{"/":"size=9999999999999999999p"},"NanoCpus":-9223372036854775808,
                "CpuQuota":9223372036854775807,"ShmSize":-1,"PidsLimit":-9223372036854775808}}"#,
        ];
        for bytes in odd {
            super::requests(bytes);
            super::addresses(bytes);
        }
    }
}
