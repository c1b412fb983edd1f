//! What is of a format, and what is not.

use super::*;

/// A format, texts that are of it, and texts that are not.
const TABLE: [(&str, &[&str], &[&str]); 23] = [
    ("byte", &["", "aGk="], &["???", "aGk"]),
    (
        "cidr",
        &["10.0.0.0/8", "fd00::/64"],
        &["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/+8"],
    ),
    (
        "mac",
        &["00:11:22:aa:BB:ff", "00-11-22-33-44-55", "0011.2233.4455"],
        &["00:11", "0:1:2:3:4:5", ""],
    ),
    (
        "uuid",
        &[
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "6BA7B8109dad11d180b400c04fd430c8",
        ],
        &["6ba7b810", "6ba7b810-9dad-11d1-80b4-00c04fd430cg"],
    ),
    ("uuid3", &["6ba7b810-9dad-31d1-10b4-00c04fd430c8"], &[""]),
    (
        "uuid4",
        &["6ba7b810-9dad-41d1-80b4-00c04fd430c8"],
        &[
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "6ba7b810-9dad-41d1-10b4-00c04fd430c8",
        ],
    ),
    (
        "uuid-5",
        &["6ba7b810-9dad-51d1-80b4-00c04fd430c8"],
        &["6ba7b810-9dad-41d1-80b4-00c04fd430c8"],
    ),
    ("bsonobjectid", &["507f1f77bcf86cd799439011"], &["507f"]),
    (
        "date-time",
        &["2026-11-22T19:00:00Z", "2026-11-22T19:00:00.5+02:00"],
        &["2026-11-22", "noon"],
    ),
    ("date", &["2026-11-22"], &["2026-13-22"]),
    ("hexcolor", &["#fff", "a0b1c2"], &["#ffff", "red"]),
    (
        "rgbcolor",
        &["rgb(0,31,255)", "rgb( 1, 2 , 3 )"],
        &["rgb(1,2)", "rgb(1,2,256)", "rgb(1,2,3,4)"],
    ),
    ("ipv4", &["10.0.0.1"], &["10.0.0", "::1", "010.0.0.1"]),
    ("ipv6", &["::1", "fd00::1"], &["10.0.0.1", ":::1"]),
    (
        "uri",
        &[
            "http://example.com",
            "https://user:pw@example.com:8443/a%20b?q=%zz#x",
            "https://[::1]:80/",
            "/absolute/path",
            "mailto:a@b.example",
            "urn:uuid:1",
            "*",
            "unix:///run/x.sock",
        ],
        &[
            "",
            "example.com",
            "relative/path",
            "ht^tp://x",
            ":80",
            "1http://x",
            "http://a b/",
            "http://example.com:port/",
            "http://[::1/",
            "http://a/%zz",
            "http://a%2/",
            "http://a\n",
        ],
    ),
    (
        "email",
        &[
            "a@b",
            "some.body@example.com",
            "Some Body <some.body@example.com>",
            "\"Body, S. <x>\" <s+tag@example.com>",
            "\"a b\"@example.com",
            "J. R. <j@example.com>",
            "<a@b>",
            "a@[127.0.0.1]",
            "jos\u{e9}@example.com",
        ],
        &[
            "",
            "a",
            "a@",
            "@b",
            "a b@c",
            "a@b@c",
            ".a@b",
            "a@b.",
            "a@b, c@d",
            "Name a@b>",
            "Na,me <a@b>",
            "\"a@b",
            "a@b c",
        ],
    ),
    (
        "hostname",
        &[
            "localhost",
            "x",
            "my-host-1",
            "example.com",
            "a.b.c.dot-com",
            "888.com",
            "b\u{fc}cher.example",
        ],
        &[
            "",
            "-a.com",
            "a-.com",
            "a..b",
            "a_b.com",
            "10.0.0.1",
            "example.com.",
            "a b",
            "a.c",
        ],
    ),
    (
        "duration",
        &[
            "0",
            "1h30m",
            "-1.5s",
            ".5ms",
            "22 ns",
            "2 days",
            "1 Hour 3 min",
            "3weeks",
        ],
        &["", "1", "h", "1 parsec", "1.5 days", "tomorrow"],
    ),
    (
        "isbn",
        &["0321751043", "978-0321751041"],
        &["0321751044", "978"],
    ),
    (
        "isbn10",
        &["0-8044-2957-X"],
        &["978-0321751041", "X804429570"],
    ),
    ("isbn13", &["978 0321751041"], &["0321751043"]),
    (
        "creditcard",
        &["4111 1111 1111 1111", "378282246310005"],
        &["4111 1111 1111 1112", "41"],
    ),
    ("ssn", &["111-22-3333", "111 22 3333"], &["00-111-1111"]),
];

#[test]
fn formats_that_are_known_are_held() {
    for (format, right, wrong) in TABLE {
        for text in right {
            assert!(is_of_format(format, text), "{format}: {text:?}");
        }
        for text in wrong {
            assert!(!is_of_format(format, text), "{format}: {text:?} is none");
        }
    }
    for format in ["no-such-format", "password", "quantity", ""] {
        assert!(is_of_format(format, "any\u{0}thing"), "{format}");
    }
    assert_eq!(COMPILED.len(), PATTERNS.len());
}

/// All texts of a few of these pieces.
#[test]
fn no_text_is_too_odd() {
    let pieces = [
        "", "<", ">", "@", "\"", "\\", "[", "]", "%", ":", "//", ".", "-", "a", "1", "\u{e9}",
    ];
    for one in pieces {
        for two in pieces {
            for three in pieces {
                let text = format!("{one}{two}{three}{one}");
                for (format, ..) in TABLE {
                    is_of_format(format, &text);
                }
            }
        }
    }
}
