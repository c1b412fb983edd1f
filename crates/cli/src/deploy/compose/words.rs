//! Small words of compose files: times, sizes, processors, command lines, names.

use weft_api::docker::text;

/// Whole seconds, rounded up, at least one unless it is none.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let ns = text::duration_ns(text)?;
    (ns >= 0).then(|| ns.div_euclid(1_000_000_000) + i64::from(ns.rem_euclid(1_000_000_000) > 0))
}

/// `1.5g` in bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    text::size(text)
}

/// `0.5` processors as the cluster writes them.
pub(super) fn processors(text: &str) -> Option<String> {
    let number: f64 = text.trim().parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is in bounds"
    )]
    let milli = (number > 0.0 && number < 1e6).then(|| (number * 1000.0).round() as u64)?;
    (milli > 0).then(|| format!("{milli}m"))
}

/// A command line as a shell takes it apart; nothing else of a shell is meant.
pub(super) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next().ok_or("a quote has no end")? {
                        '\'' => break,
                        letter => word.push(letter),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next().ok_or("a quote has no end")? {
                        '"' => break,
                        '\\' => match letters.next().ok_or("a quote has no end")? {
                            letter @ ('"' | '\\' | '$' | '`') => word.push(letter),
                            '\n' => {}
                            letter => word.extend(['\\', letter]),
                        },
                        letter => word.push(letter),
                    }
                }
            }
            '\\' => {
                let letter = letters.next().ok_or("a backslash has nothing behind it")?;
                word.get_or_insert_default().push(letter);
            }
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A text that nothing is filled into: `$(NAME)` stands for a variable in what a pod says.
pub(super) fn literal(text: &str) -> String {
    match text.contains("$(") || text.contains("$$") {
        true => text.replace('$', "$$"),
        false => text.to_owned(),
    }
}

/// FNV-1a, to tell that something has changed.
pub(super) fn sum(before: u64, bytes: &[u8]) -> u64 {
    let each = bytes.iter().chain(&[0]);
    each.fold(before ^ 0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_processors() {
        for (text, expected) in [
            ("1m30s", Some(90)),
            ("1500ms", Some(2)),
            ("0s", Some(0)),
            ("x", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for (text, expected) in [
            ("0.5", Some("500m")),
            ("2", Some("2000m")),
            ("0", None),
            ("-1", None),
            ("x", None),
        ] {
            assert_eq!(processors(text).as_deref(), expected, "{text}");
        }
        assert_eq!(literal("$(A)"), "$$(A)");
        assert_eq!(literal("$A"), "$A");
    }

    #[test]
    fn command_lines_come_apart() {
        for (line, expected) in [
            ("a  b\tc", &["a", "b", "c"][..]),
            (r#"sh -c 'echo "x  $y"'"#, &["sh", "-c", r#"echo "x  $y""#]),
            (r#"a"b \" \n"c\ d '' "#, &[r#"ab " \nc d"#, ""]),
            ("", &[]),
        ] {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
        for wrong in ["'a", "\"a", "a\\"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}
