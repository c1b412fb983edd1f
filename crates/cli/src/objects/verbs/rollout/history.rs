//! `weft rollout history`

use serde_json::Value;

use super::kept::{self, Kept};
use super::{Chosen, Workload, read};
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect};
use crate::objects::form::{Form, Templates, label};
use crate::objects::verbs::describe;
use crate::objects::write::Tally;
use crate::session::Session;
use crate::tree::Outcome;

/// Flags of `rollout history`.
#[derive(Debug, clap::Args)]
pub(super) struct History {
    #[command(flatten)]
    chosen: Chosen,
    /// Tell all of this one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    revision: i64,
    /// Show what keeps the revisions: name, json, yaml, jsonpath=TEMPLATE, go-template=TEMPLATE, custom-columns=NAME:PATH,...
    #[arg(short, long, value_name = "FORM")]
    output: Option<String>,
    #[command(flatten)]
    templates: Templates,
    #[command(flatten)]
    connect: Connect,
}

impl History {
    /// Shows revisions.
    pub(super) async fn run(self, session: &Session) -> Outcome {
        if self.revision < 0 {
            let found = self.revision;
            return Err(CliError::usage(format!(
                "revision must be a positive integer: {found}"
            )));
        }
        let form = Form::of(self.output.as_deref(), &self.templates)?;
        let api = Api::open(&self.connect, session)?;
        let mut tally = Tally::new(api.printer);
        for target in self.chosen.all(&api).await? {
            if let Err(error) = self.one(&api, &target, &form).await {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }

    async fn one(&self, api: &Api, target: &Target, form: &Form) -> Result<(), CliError> {
        let kind = Workload::required(target, "a history")?;
        let object = read(api, target).await?;
        let mut all = kept::all(api, target, &object, kind).await?;
        if self.revision > 0 {
            all.retain(|one| one.revision == self.revision);
            if all.is_empty() {
                return Err(CliError::new("unable to find the specified revision"));
            }
        }
        if !form.is_table() {
            for one in all {
                let shown = self.templates.shown(one.object);
                api.printer.data(&form.whole(&shown)?)?;
            }
            return Ok(());
        }
        let (label, text) = (label(&object), self.text(&all));
        match self.revision {
            0 => api.printer.line(&format!("{label} \n{text}")),
            revision => api
                .printer
                .line(&format!("{label} with revision #{revision}\n{text}")),
        }
    }

    fn text(&self, all: &[Kept]) -> String {
        match all {
            [one] if self.revision > 0 => describe::template(&shown(one)),
            [] => "No rollout history found.".to_owned(),
            all => {
                let rows = all
                    .iter()
                    .map(|one| format!("{}\t{}", one.revision, one.cause()));
                let head = std::iter::once("REVISION\tCHANGE-CAUSE".to_owned());
                describe::columns(head.chain(rows))
            }
        }
    }
}

/// The template as it is told: the cause belongs to it there.
fn shown(one: &Kept) -> Value {
    let mut template = one.template.clone();
    if one.cause() != "<none>" {
        template["metadata"]["annotations"]["kubernetes.io/change-cause"] = one.cause().into();
    }
    template
}
