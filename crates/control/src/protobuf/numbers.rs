//! Numbers of fields, by type: `numbers.txt`, read once.

use std::collections::HashMap;
use std::sync::OnceLock;

const TABLE: &str = include_str!("numbers.txt");

/// A field of a type.
#[derive(Debug)]
pub(super) struct Field {
    /// As JSON has it.
    pub(super) name: &'static str,
    /// Whether zero, false and empty say something.
    pub(super) says_zero: bool,
    /// The field of the message that holds it; 0: it is the message's own.
    inline: u32,
    number: u32,
}

/// A type's fields.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<Field>);

impl Message {
    /// The field `number` of the message, or of the one its field `inline` holds.
    pub(super) fn field(&self, inline: u32, number: u32) -> Option<&Field> {
        let mut fields = self.0.iter();
        fields.find(|field| (field.inline, field.number) == (inline, number))
    }

    /// Whether this field holds a message whose fields JSON has inline.
    pub(super) fn is_inline(&self, number: u32) -> bool {
        self.0.iter().any(|field| field.inline == number)
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|field| field.name)
    }

    #[cfg(test)]
    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.iter().any(|field| field.name == name)
    }
}

/// Whether zero, false and empty say nothing in the field `field` of the type a schema calls `name`.
/// Where that is not known, they say something.
pub(crate) fn is_silent(name: &str, field: &str) -> bool {
    let mut fields = of(name).into_iter().flat_map(|message| &message.0);
    fields.any(|one| one.name == field && !one.says_zero)
}

/// The type a schema calls `name`.
pub(super) fn of(name: &str) -> Option<&'static Message> {
    static TYPES: OnceLock<HashMap<&str, Message>> = OnceLock::new();
    let types = TYPES.get_or_init(|| {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(line).collect()
    });
    let short = name
        .strip_prefix("io.k8s.apimachinery.pkg.apis.")
        .or_else(|| name.strip_prefix("io.k8s.apimachinery.pkg."))
        .or_else(|| name.strip_prefix("io.k8s.api."))
        .unwrap_or(name);
    types.get(short)
}

fn line(line: &'static str) -> Option<(&'static str, Message)> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next()?;
    let fields = words.map(|word| field(word).expect("numbers.txt is well formed"));
    Some((name, Message(fields.collect())))
}

fn field(word: &'static str) -> Option<Field> {
    let (name, number) = word.split_once('=')?;
    let (number, says_zero) = match number.strip_suffix('?') {
        Some(number) => (number, true),
        None => (number, false),
    };
    let (inline, number) = number.split_once('.').unwrap_or(("0", number));
    Some(Field {
        name,
        says_zero,
        inline: inline.parse().ok()?,
        number: number.parse().ok()?,
    })
}
