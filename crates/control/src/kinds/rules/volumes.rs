//! Rules for how volumes are used, and how kubectl shows it.

use serde_json::Value;

use super::{Mistakes, Spot};
use crate::object::Object;

/// Ways to use a volume, with what kubectl calls them, in its order.
const ACCESS: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    (ALONE, "RWOP"),
];
const ALONE: &str = "ReadWriteOncePod";
pub(crate) const MODES: [&str; 2] = ["Block", "Filesystem"];

impl Mistakes {
    /// A list of access modes, if it is there.
    pub(crate) fn access_modes(&mut self, at: &Spot<'_, '_>) {
        let mut known = ACCESS.map(|(mode, _)| mode);
        known.sort_unstable();
        for mode in at.items() {
            self.one_of(&mode, &known);
        }
        if at.items().count() > 1 && at.items().any(|mode| mode.text() == ALONE) {
            self.forbidden(at, "may not use ReadWriteOncePod with other access modes");
        }
    }
}

/// `RWO,ROX`
pub(crate) fn access_text(modes: Option<&Value>) -> String {
    let has = |mode: &str| {
        let modes = modes.and_then(Value::as_array);
        modes.into_iter().flatten().any(|one| one == mode)
    };
    let short = ACCESS.iter().filter(|(mode, _)| has(mode));
    let short: Vec<&str> = short.map(|(_, short)| *short).collect();
    short.join(",")
}

/// The phase of a volume or a claim, or that it is going.
pub(crate) fn phase(object: &Object) -> &str {
    match object.meta().is_deleting() {
        true => "Terminating",
        false => object.text(&["status", "phase"]).unwrap_or_default(),
    }
}

/// The text at `path`; `<unset>` where there is none.
pub(crate) fn or_unset<'a>(object: &'a Object, path: &[&str]) -> &'a str {
    let text = object.text(path).filter(|text| !text.is_empty());
    text.unwrap_or("<unset>")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn access_modes_are_known_and_shown_in_order() {
        let modes = json!(["ReadWriteMany", "ReadWriteOnce"]);
        assert_eq!(access_text(Some(&modes)), "RWO,RWX");
        assert_eq!(access_text(None), "");
        for (modes, wrong) in [
            (modes, &[][..]),
            (json!([ALONE]), &[]),
            (json!(["Any"]), &["m[0]"]),
            (json!([ALONE, "ReadOnlyMany"]), &["m"]),
        ] {
            let object = Object([("m".to_owned(), modes)].into_iter().collect());
            let mut mistakes = Mistakes::default();
            mistakes.access_modes(&Spot::of(&object, "m"));
            let told = mistakes.into_causes();
            let fields: Vec<&str> = told.iter().map(|cause| &*cause.field).collect();
            assert_eq!(fields, wrong);
        }
    }
}
