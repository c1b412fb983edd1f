//! The protobuf form of an OpenAPI v2 document (gnostic's `OpenAPIv2.proto`): the one form in which
//! kubectl asks for it (`application/com.github.proto-openapi.spec.v2@v1.0+protobuf`).
//!
//! Owns: tags and lengths, and the numbers of the fields that are written. Never reads any.

use serde_json::Value;

/// A field's number in its message.
pub(super) type Number = u32;

/// `Document`
pub(super) mod document {
    use super::Number;
    pub(crate) const SWAGGER: Number = 1;
    pub(crate) const INFO: Number = 2;
    pub(crate) const PATHS: Number = 8;
    pub(crate) const DEFINITIONS: Number = 9;
}

/// `Info`
pub(super) mod info {
    use super::Number;
    pub(crate) const TITLE: Number = 1;
    pub(crate) const VERSION: Number = 2;
}

/// `Paths`, `PathItem`, `Operation`, `ParametersItem` and what is below.
pub(super) mod path {
    use super::Number;
    pub(crate) const ITEM: Number = 2;
    pub(crate) const POST: Number = 4;
    pub(crate) const PATCH: Number = 8;
    pub(crate) const PARAMETERS: Number = 8;
    pub(crate) const EXTENSION: Number = 13;
    /// `ParametersItem.parameter`
    pub(crate) const PARAMETER: Number = 1;
    /// `Parameter.non_body_parameter`
    pub(crate) const NOT_BODY: Number = 2;
    /// `NonBodyParameter.query_parameter_sub_schema`
    pub(crate) const QUERY: Number = 3;
    pub(crate) const QUERY_IN: Number = 2;
    pub(crate) const QUERY_NAME: Number = 4;
    pub(crate) const QUERY_TYPE: Number = 6;
}

/// `Schema`
pub(super) mod schema {
    use super::Number;
    pub(crate) const REFERENCE: Number = 1;
    pub(crate) const FORMAT: Number = 2;
    pub(crate) const DESCRIPTION: Number = 4;
    pub(crate) const REQUIRED: Number = 19;
    pub(crate) const ADDITIONAL: Number = 21;
    pub(crate) const TYPE: Number = 22;
    pub(crate) const ITEMS: Number = 23;
    pub(crate) const PROPERTIES: Number = 25;
    pub(crate) const EXTENSION: Number = 31;
}

/// The first field of messages that wrap one (`TypeItem.value`, `ItemsItem.schema`, `Properties`).
pub(super) const ONLY: Number = 1;
/// `Named….name` and `Named….value`.
const NAME: Number = 1;
const VALUE: Number = 2;
/// `Any.yaml`
const YAML: Number = 2;
/// Wire type of bytes that say how long they are.
const LENGTH_DELIMITED: u32 = 2;

/// A message being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn text(mut self, number: Number, text: &str) -> Message {
        self.bytes(number, text.as_bytes());
        self
    }

    pub(super) fn message(mut self, number: Number, inner: &Message) -> Message {
        self.bytes(number, &inner.0);
        self
    }

    /// An element of a map: `Named…`.
    pub(super) fn named(self, number: Number, name: &str, value: &Message) -> Message {
        let named = Message::default().text(NAME, name).message(VALUE, value);
        self.message(number, &named)
    }

    /// An extension (`x-…`), whose value is text of YAML; JSON is.
    pub(super) fn extension(self, number: Number, name: &str, value: &Value) -> Message {
        let any = Message::default().text(YAML, &value.to_string());
        self.named(number, name, &any)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn bytes(&mut self, number: Number, bytes: &[u8]) {
        self.varint(u64::from(number << 3 | LENGTH_DELIMITED));
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_tags_are_varints() {
        let short = Message::default().text(1, "ab").into_bytes();
        assert_eq!(short, b"\x0a\x02ab");
        let long = Message::default().text(31, &"x".repeat(300)).into_bytes();
        assert_eq!(long[..4], [0xfa, 0x01, 0xac, 0x02]);
        let extension = Message::default().extension(31, "x-a", &true.into());
        assert_eq!(
            extension.into_bytes(),
            b"\xfa\x01\x0d\x0a\x03x-a\x12\x06\x12\x04true"
        );
    }
}
