//! `weft auth whoami`: who the server takes one for.

use serde_json::Value;

use super::{list, review};
use crate::objects::connect::{Api, Connect};
use crate::objects::form::{Form, Templates};
use crate::objects::rows::Layout;
use crate::session::Session;
use crate::tree::Outcome;

/// Flags of `whoami`.
#[derive(Debug, clap::Args)]
pub struct WhoAmI {
    /// Show the answer: json, yaml, jsonpath=TEMPLATE, go-template=TEMPLATE, ...
    #[arg(short, long, value_name = "FORM")]
    output: Option<String>,
    #[command(flatten)]
    templates: Templates,
    #[command(flatten)]
    connect: Connect,
}

impl WhoAmI {
    /// Asks.
    pub async fn run(self, session: &Session) -> Outcome {
        let form = Form::of(self.output.as_deref(), &self.templates)?;
        let api = Api::open(&self.connect, session)?;
        let answer = review(
            &api,
            "authentication.k8s.io",
            "SelfSubjectReview",
            Value::Null,
        )
        .await?;
        if !form.is_table() {
            api.printer.data(&form.whole(&answer)?)?;
            return Ok(0);
        }
        let user = &answer["status"]["userInfo"];
        let mut lines = vec![vec!["ATTRIBUTE".to_owned(), "VALUE".to_owned()]];
        for (title, key) in [("Username", "username"), ("UID", "uid")] {
            if let Some(text) = user[key].as_str().filter(|text| !text.is_empty()) {
                lines.push(vec![title.to_owned(), text.to_owned()]);
            }
        }
        if user["groups"]
            .as_array()
            .is_some_and(|groups| !groups.is_empty())
        {
            lines.push(vec!["Groups".to_owned(), list(&user["groups"])]);
        }
        for (key, values) in user["extra"].as_object().into_iter().flatten() {
            lines.push(vec![format!("Extra: {key}"), list(values)]);
        }
        api.printer.data(&Layout::default().render(&lines))?;
        Ok(0)
    }
}
