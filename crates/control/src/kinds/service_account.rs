//! ServiceAccount: who a pod is.

use k8s_openapi::api::core::v1::ServiceAccount;
use serde_json::Value;

use super::document;
use crate::kind::{Column, Kind, texts};
use crate::object::Object;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["sa"]),
        document: document::<ServiceAccount>(),
        columns: vec![
            Column::name(),
            Column::text("Secrets", "How many secrets it may use.", |account| {
                secrets(account).into()
            }),
            Column::age(),
        ],
        is_carried_out: true,
        ..Kind::core("ServiceAccount", "serviceaccounts", "serviceaccount")
    }
}

fn secrets(account: &Object) -> usize {
    let list = account.at(&["secrets"]).and_then(Value::as_array);
    list.map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::shows;

    #[test]
    fn its_secrets_are_counted() {
        let account = json!({ "metadata": { "name": "a" }, "secrets": [{ "name": "s" }] });
        shows(&kind(), account, &[("NAME", "a"), ("SECRETS", "1")]);
        let bare = json!({ "metadata": { "name": "a" } });
        shows(&kind(), bare, &[("NAME", "a"), ("SECRETS", "0")]);
    }
}
