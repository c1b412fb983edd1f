//! Tokens of service accounts.

use std::time::Duration;

use serde_json::{Value, json};
use weft_client::Request;

use crate::error::CliError;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::form::{Form, Templates};
use crate::objects::refusal::during;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// `weft create token`
pub const TOKEN: Entry = verb!(
    "token",
    Token,
    "Make a token of a service account, and print it"
);

/// What a token can be bound to.
const KINDS: [&str; 3] = ["Node", "Pod", "Secret"];

#[derive(Debug, clap::Args)]
pub struct Token {
    /// The service account
    name: String,
    /// Whom it is for
    #[arg(long, value_name = "NAME")]
    audience: Vec<String>,
    /// How long it is good for (0: as long as the server thinks fit)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    #[command(flatten)]
    bound: Bound,
    /// Show all of the answer: json, yaml, name, jsonpath=TEMPLATE, go-template=TEMPLATE
    #[arg(short, long, value_name = "FORM")]
    output: Option<String>,
    #[command(flatten)]
    templates: Templates,
    #[command(flatten)]
    connect: Connect,
}

/// The object with which the token ends.
#[derive(Debug, Default, clap::Args)]
struct Bound {
    /// Bind it to an object of this kind (Node, Pod or Secret): it ends with the object
    #[arg(
        long = "bound-object-kind",
        value_name = "KIND",
        default_value = "",
        hide_default_value = true
    )]
    kind: String,
    /// That object's name
    #[arg(
        long = "bound-object-name",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    named: String,
    /// That object's uid, if it must be this one
    #[arg(
        long = "bound-object-uid",
        value_name = "UID",
        default_value = "",
        hide_default_value = true
    )]
    uid: String,
}

impl Bound {
    /// The object, if one is meant.
    fn reference(&self) -> Result<Option<Value>, &'static str> {
        let Bound { kind, named, uid } = self;
        if kind.is_empty() {
            return match (named.is_empty(), uid.is_empty()) {
                (false, _) => {
                    Err("--bound-object-name can only be set if --bound-object-kind is provided")
                }
                (_, false) => {
                    Err("--bound-object-uid can only be set if --bound-object-kind is provided")
                }
                (true, true) => Ok(None),
            };
        }
        if !KINDS.contains(&kind.as_str()) {
            return Err("supported --bound-object-kind values are Node, Pod, Secret");
        }
        if named.is_empty() {
            return Err("--bound-object-name is required if --bound-object-kind is provided");
        }
        let mut reference = json!({ "apiVersion": "v1", "kind": kind, "name": named });
        if !uid.is_empty() {
            reference["uid"] = uid.as_str().into();
        }
        Ok(Some(reference))
    }
}

impl Token {
    fn spec(&self) -> Result<Value, &'static str> {
        if self.name.is_empty() {
            return Err("service account name is required");
        }
        if self.audience.iter().any(String::is_empty) {
            return Err("--audience must not be an empty string");
        }
        let mut spec = json!({ "audiences": self.audience });
        if let Some(duration) = self.duration.filter(|duration| !duration.is_zero()) {
            if duration.subsec_nanos() != 0 {
                return Err("--duration cannot be expressed in units less than seconds");
            }
            spec["expirationSeconds"] = duration.as_secs().into();
        }
        if let Some(reference) = self.bound.reference()? {
            spec["boundObjectRef"] = reference;
        }
        Ok(spec)
    }

    pub async fn run(self, session: &Session) -> Outcome {
        let form = Form::of(self.output.as_deref(), &self.templates)?;
        let spec = self.spec().map_err(CliError::new)?;
        let api = Api::open(&self.connect, session)?;
        let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec });
        let path = [
            "api",
            "v1",
            "namespaces",
            &api.namespace,
            "serviceaccounts",
            &self.name,
            "token",
        ];
        let sent = api
            .send(&Request::post("create a token", &path).json(&body))
            .await;
        let answer = sent.map_err(|error| during(error, "failed to create token"))?;
        let answer = answer.json()?;
        match (answer["status"]["token"].as_str(), form.is_table()) {
            (None, _) => return Err(CliError::new("the server answered without a token")),
            (Some(token), true) => api.printer.line(token)?,
            (Some(_), false) => api.printer.data(&form.whole(&answer)?)?,
        }
        Ok(0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_whole_or_not_at_all() {
        let reference = |kind: &str, named: &str, uid: &str| {
            let (kind, named, uid) = (kind.to_owned(), named.to_owned(), uid.to_owned());
            Bound { kind, named, uid }.reference()
        };
        assert_eq!(reference("", "", "").unwrap(), None);
        assert_eq!(
            reference("Pod", "a", "").unwrap().unwrap(),
            json!({ "apiVersion": "v1", "kind": "Pod", "name": "a" })
        );
        assert_eq!(
            reference("Secret", "a", "b").unwrap().unwrap()["uid"],
            json!("b")
        );
        for (kind, named, uid, why) in [
            ("", "a", "", "--bound-object-name can only be set"),
            ("", "", "a", "--bound-object-uid can only be set"),
            ("Pod", "", "", "--bound-object-name is required"),
            ("Pod", "", "a", "--bound-object-name is required"),
            ("pod", "a", "", "values are Node, Pod, Secret"),
        ] {
            let said = reference(kind, named, uid).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
