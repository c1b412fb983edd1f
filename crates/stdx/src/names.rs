//! What names may look like (RFC 1123, RFC 1035, and Kubernetes' label syntax).

/// Longest DNS label.
const LABEL_MAX: usize = 63;
/// Longest DNS subdomain.
const SUBDOMAIN_MAX: usize = 253;

/// Why `name` is no DNS label: `web-1`.
pub fn dns_label(name: &str) -> Result<(), &'static str> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.len() > LABEL_MAX {
        return Err("must be no more than 63 bytes");
    }
    if has_shape(name, |c| inner(c) && c != b'-', inner) {
        Ok(())
    } else {
        Err(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
             and must start and end with an alphanumeric character (e.g. 'my-name', or '123-abc', \
             regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        )
    }
}

/// Why `name` is no DNS label that begins with a letter, as a service's name: `web-1`.
pub fn dns_1035(name: &str) -> Result<(), &'static str> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.len() > LABEL_MAX {
        return Err("must be no more than 63 bytes");
    }
    let begins_right = name.starts_with(|c: char| c.is_ascii_lowercase());
    if begins_right && has_shape(name, |c| inner(c) && c != b'-', inner) {
        Ok(())
    } else {
        Err(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character (e.g. \
             'my-name', or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
        )
    }
}

/// Why `name` is no DNS subdomain: `a.b-c`.
pub fn dns_subdomain(name: &str) -> Result<(), &'static str> {
    if name.len() > SUBDOMAIN_MAX {
        return Err("must be no more than 253 bytes");
    }
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let is_right = |part: &str| has_shape(part, |c| inner(c) && c != b'-', inner);
    if name.split('.').all(is_right) {
        Ok(())
    } else {
        Err(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        )
    }
}

/// Why `name` cannot be a part of a URL: for kinds whose names are free otherwise.
pub fn path_segment(name: &str) -> Result<(), &'static str> {
    match name {
        "." => Err("may not be '.'"),
        ".." => Err("may not be '..'"),
        name if name.contains('/') => Err("may not contain '/'"),
        name if name.contains('%') => Err("may not contain '%'"),
        _ => Ok(()),
    }
}

/// Why `key` names no label or annotation: `app`, `example.com/app`.
pub fn label_key(key: &str) -> Result<(), &'static str> {
    let name = match key.split_once('/') {
        Some((prefix, name)) => {
            dns_subdomain(prefix).map_err(|_| "prefix part must be a DNS subdomain")?;
            name
        }
        None => key,
    };
    if name.is_empty() || name.len() > LABEL_MAX {
        return Err("name part must be 1 to 63 bytes");
    }
    if has_shape(name, |c| c.is_ascii_alphanumeric(), is_label_byte) {
        Ok(())
    } else {
        Err(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start \
             and end with an alphanumeric character (e.g. 'MyName', or 'my.name', or '123-abc', \
             regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        )
    }
}

/// Why `value` is no label's value.
pub fn label_value(value: &str) -> Result<(), &'static str> {
    if value.len() > LABEL_MAX {
        return Err("must be no more than 63 bytes");
    }
    if value.is_empty() || has_shape(value, |c| c.is_ascii_alphanumeric(), is_label_byte) {
        Ok(())
    } else {
        Err(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', \
             '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue', \
             or 'my_value', or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        )
    }
}

fn is_label_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.')
}

/// `edge` at both ends, `inner` in between; not empty.
fn has_shape(text: &str, edge: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    match text.as_bytes() {
        [] => false,
        [only] => edge(*only),
        [first, middle @ .., last] => {
            edge(*first) && edge(*last) && middle.iter().all(|c| inner(*c))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_dns_takes() {
        for good in ["a", "a-b", "0", "web-1", &"x".repeat(63)] {
            assert!(dns_label(good).is_ok(), "{good}");
        }
        for bad in ["", "-", "a-", "-a", "A", "a.b", "a_b", "ä", &"x".repeat(64)] {
            assert!(dns_label(bad).is_err(), "{bad}");
        }
        assert!(dns_1035("a-1").is_ok());
        for bad in ["", "1a", "-a", "a-", "A", "a.b", &"x".repeat(64)] {
            assert!(dns_1035(bad).is_err(), "{bad}");
        }
        assert!(dns_subdomain("a.b-c.1").is_ok());
        for bad in ["", ".", "a..b", "a.-b", &"a.".repeat(127)] {
            assert!(dns_subdomain(bad).is_err(), "{bad}");
        }
        for bad in [".", "..", "a/b", "a%b"] {
            assert!(path_segment(bad).is_err(), "{bad}");
        }
        assert!(path_segment("system:node").is_ok());
    }

    #[test]
    fn labels_may_have_a_prefix() {
        for good in ["app", "example.com/App_1.x", "a"] {
            assert!(label_key(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "-a", "Example/a"] {
            assert!(label_key(bad).is_err(), "{bad}");
        }
        assert!(label_value("").is_ok() && label_value("a_b.c-1").is_ok());
        assert!(label_value("a b").is_err() && label_value("-").is_err());
    }
}
