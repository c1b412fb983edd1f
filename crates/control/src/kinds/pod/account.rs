//! Whose name a pod acts in: a service account that is there.

use std::sync::Arc;

use serde_json::Value;

use crate::kind::Wanted;
use crate::kinds::rules::fill::below;
use crate::object::Object;

const NAME: [&str; 2] = ["spec", "serviceAccountName"];
/// Every namespace has it.
const USUAL: &str = "default";
const SECRETS: &str = "imagePullSecrets";

/// The account that is named.
pub(super) fn wanted(pod: &Object) -> Wanted {
    let name = pod.text(&NAME).unwrap_or(USUAL);
    Wanted::Beside {
        name: name.to_owned(),
        is_coming: name == USUAL,
    }
}

/// Puts into `pod` what its account gives it.
pub(super) fn take(pod: &mut Object, accounts: &[Arc<Object>]) -> Result<(), String> {
    let Some(account) = accounts.first() else {
        let (namespace, name) = (pod.meta().namespace(), pod.text(&NAME).unwrap_or(USUAL));
        return Err(format!(
            "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
        ));
    };
    let is_some = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    let given = account.at(&[SECRETS]).filter(|list| is_some(list));
    if let (Some(given), Some(spec)) = (given, below(&mut pod.0, "spec"))
        && !spec.get(SECRETS).is_some_and(is_some)
    {
        spec.insert(SECRETS.to_owned(), given.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::object;

    #[test]
    fn an_account_has_to_be_there_and_gives_its_secrets() {
        let account = Arc::new(object(json!({ "imagePullSecrets": [{ "name": "hub" }] })));
        let pod =
            |spec: Value| object(json!({ "metadata": { "namespace": "shop" }, "spec": spec }));
        for (given, wanted) in [
            (json!({}), "hub"),
            (json!({ "imagePullSecrets": [] }), "hub"),
            (json!({ "imagePullSecrets": [{ "name": "own" }] }), "own"),
        ] {
            let mut pod = pod(given);
            take(&mut pod, &[Arc::clone(&account)]).unwrap();
            assert_eq!(
                pod.0["spec"]["imagePullSecrets"],
                json!([{ "name": wanted }])
            );
        }
        let mut nobody = pod(json!({ "serviceAccountName": "robot" }));
        assert_eq!(
            take(&mut nobody, &[]).unwrap_err(),
            "error looking up service account shop/robot: serviceaccount \"robot\" not found"
        );
    }
}
