//! How Docker's JSON differs from serde's idea of it: nulls, sets, words, one macro for the types.
//!
//! It holds no API type itself.

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde::{Serialize, Serializer};

/// Declares wire types: every member is optional, `null` is absence, names are PascalCase.
///
/// With `..rest` at the end, members without a field are kept in `rest`.
macro_rules! wire {
    (@one [$($meta:tt)*] $name:ident [$($field:tt)*]) => {
        $($meta)*
        #[allow(missing_docs, reason = "the fields are documented by Docker's API reference")]
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        pub struct $name { $($field)* }
    };
    () => {};
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$fmeta:meta])* $field:ident: $type:ty,)*
        ..rest
    } $($more:tt)*) => {
        wire! { @one [$(#[$meta])*] $name [
            $($(#[$fmeta])*
            #[serde(default, deserialize_with = "crate::docker::wire::or_default")]
            pub $field: $type,)*
            /// Members this type has no field for.
            #[serde(flatten)]
            pub rest: crate::docker::Rest,
        ] }
        wire! { $($more)* }
    };
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$fmeta:meta])* $field:ident: $type:ty,)*
    } $($more:tt)*) => {
        wire! { @one [$(#[$meta])*] $name [
            $($(#[$fmeta])*
            #[serde(default, deserialize_with = "crate::docker::wire::or_default")]
            pub $field: $type,)*
        ] }
        wire! { $($more)* }
    };
}

/// `null` reads as the type's default.
pub(super) fn or_default<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// The value of a member of a set: written `{}`, read as anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present;

impl Serialize for Present {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        output.serialize_map(Some(0))?.end()
    }
}

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(input).map(|_| Self)
    }
}

/// A command: an array of words, or one word written as a plain string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Words(pub Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = Words;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E>(self, word: &str) -> Result<Words, E> {
                Ok(Words(vec![word.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element()? {
                    words.push(word);
                }
                Ok(Words(words))
            }
        }
        input.deserialize_any(Visit)
    }
}

#[cfg(test)]
mod tests {
    use crate::docker::{ContainerCreateRequest, Words};

    #[test]
    fn null_is_absence_and_unknown_members_are_kept() {
        let text = r#"{"Image":"a","Env":null,"Cmd":"sh","HostConfig":{"Binds":null,"Sprocket":1},
            "ExposedPorts":{"80/tcp":{}},"Volumes":{"/d":null},"Gadget":true}"#;
        let body: ContainerCreateRequest = serde_json::from_str(text).unwrap();
        assert_eq!(body.image, "a");
        assert_eq!(body.cmd, Some(Words(vec!["sh".into()])));
        assert_eq!(body.entrypoint, None);
        assert!(body.volumes.contains_key("/d"));
        assert_eq!(body.rest.keys().collect::<Vec<_>>(), ["Gadget"]);
        assert_eq!(
            body.host_config.rest.keys().collect::<Vec<_>>(),
            ["Sprocket"]
        );
    }

    #[test]
    fn a_request_survives_the_round_trip() {
        let mut body = ContainerCreateRequest {
            image: "b".into(),
            ..Default::default()
        };
        body.exposed_ports.insert("80/tcp".into(), super::Present);
        body.cmd = Some(Words(vec!["a".into(), "b".into()]));
        let text = serde_json::to_string(&body).unwrap();
        assert_eq!(
            serde_json::from_str::<ContainerCreateRequest>(&text).unwrap(),
            body
        );
    }
}
