//! `namePrefix` and `nameSuffix`.

use super::id::Resource;

/// Kinds whose name is fixed by what they are for.
const FIXED: [&str; 3] = ["APIService", "CustomResourceDefinition", "Namespace"];

/// Puts `prefix` before each name.
pub fn prefix(resources: &mut [Resource], prefix: &str) {
    for (one, name) in renamed(resources) {
        one.prefixes.push(prefix.to_owned());
        one.rename(format!("{prefix}{name}"));
    }
}

/// Puts `suffix` behind each name.
pub fn suffix(resources: &mut [Resource], suffix: &str) {
    for (one, name) in renamed(resources) {
        one.suffixes.push(suffix.to_owned());
        one.rename(format!("{name}{suffix}"));
    }
}

fn renamed(resources: &mut [Resource]) -> impl Iterator<Item = (&mut Resource, String)> {
    resources.iter_mut().filter_map(|one| {
        let id = one.id();
        (!FIXED.contains(&&*id.kind)).then_some((one, id.name))
    })
}
