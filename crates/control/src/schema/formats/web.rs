//! Names and addresses of the web, read as Go's packages do it.

/// Longest name of a host, and of a part of it.
const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;

/// A name of a host (RFC 1123), in any script.
pub(super) fn is_hostname(text: &str) -> bool {
    let is_symbol = |c: char| matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~');
    let is_inner = |c: char| match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || is_symbol(c),
        false => !c.is_whitespace() && !c.is_control(),
    };
    let is_label = |label: &str| {
        label.len() <= LABEL_MAX
            && label.starts_with(is_inner)
            && label.ends_with(is_inner)
            && label.chars().all(|c| c == '-' || is_inner(c))
    };
    // The last of several is no single letter, so that no IPv4 address is a name.
    let is_last = |label: &str| label.chars().nth(1).is_some() && !label.contains("--");
    let is_sound = text.rsplit_once('.').is_none_or(|(_, last)| is_last(last));
    text.len() <= NAME_MAX && is_sound && text.split('.').all(is_label)
}

/// What a request may be for: an absolute path, or a URI with its scheme.
pub(super) fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|byte| byte.is_ascii_control()) {
        return false;
    }
    if text == "*" {
        return true;
    }
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = text.split_once(':').filter(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_of_scheme)
    });
    let rest = scheme.map_or(text, |(_, rest)| rest);
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    if !rest.starts_with('/') {
        return scheme.is_some();
    }
    let path = match rest.strip_prefix("//").filter(|_| scheme.is_some()) {
        None => rest,
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !is_authority(authority) {
                return false;
            }
            path
        }
    };
    is_escaped_well(path)
}

/// `user@host:port`
fn is_authority(text: &str) -> bool {
    let (user, host) = text.rsplit_once('@').unwrap_or(("", text));
    let is_of_user = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    let is_of_host = |c: char| {
        !c.is_ascii() || c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:[]<>\"%".contains(c)
    };
    let after = match host.strip_prefix('[') {
        Some(literal) => match literal.rsplit_once(']') {
            Some((_, after)) => after,
            None => return false,
        },
        None => host.rfind(':').map_or("", |at| &host[at..]),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    user.chars().all(is_of_user)
        && is_escaped_well(user)
        && host.chars().all(is_of_host)
        && is_escaped_well(host)
        && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port))
}

/// Each `%` has two digits.
fn is_escaped_well(text: &str) -> bool {
    let mut parts = text.split('%');
    parts.next();
    parts.all(|part| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// `a@b.example`, or `Some Body <a@b.example>` (RFC 5322).
pub(super) fn is_mailbox(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    let Some(whole) = text.strip_suffix('>') else {
        return is_address(text);
    };
    // A quoted name may hold a bracket: the last one begins the address, as none is in there.
    let Some((name, address)) = whole.rsplit_once('<') else {
        return false;
    };
    is_phrase(name) && is_address(address)
}

/// `user@host`
fn is_address(text: &str) -> bool {
    let Some((user, host)) = text.rsplit_once('@') else {
        return false;
    };
    let is_literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|inside| {
            inside
                .chars()
                .all(|c| c.is_ascii_graphic() && !matches!(c, '[' | ']' | '\\'))
        });
    (is_dotted(user) || is_quoted(user)) && (is_dotted(host) || is_literal)
}

fn is_atom(text: &str) -> bool {
    let is_of_atom =
        |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    !text.is_empty() && text.chars().all(is_of_atom)
}

fn is_dotted(text: &str) -> bool {
    text.split('.').all(is_atom)
}

/// `"what \"you\" like"`
fn is_quoted(text: &str) -> bool {
    let inside = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let Some(inside) = inside else {
        return false;
    };
    let mut is_escaped = false;
    for c in inside.chars() {
        match c {
            _ if c.is_control() && c != '\t' => return false,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return false,
            _ => {}
        }
    }
    !is_escaped
}

/// A name: quoted, or words, which may have dots.
fn is_phrase(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    let is_word = |word: &str| {
        word.is_empty() || word.split('.').all(|part| part.is_empty() || is_atom(part))
    };
    is_quoted(text) || text.split([' ', '\t']).all(is_word)
}
