//! `commonAnnotations`: on every object and on the pods it makes.

use std::collections::BTreeMap;

use super::id::Resource;
use super::paths::{insert, template};

/// Puts `pairs` on all.
pub fn add(resources: &mut [Resource], pairs: &BTreeMap<String, String>) {
    for one in resources {
        let kind = one.id().kind;
        insert(&mut one.value, "metadata/annotations", true, pairs);
        if let Some(path) = template(&kind).filter(|_| kind != "PodTemplate") {
            let path = format!("{path}/metadata/annotations");
            insert(&mut one.value, &path, true, pairs);
        }
        if kind == "CronJob" {
            insert(
                &mut one.value,
                "spec/jobTemplate/metadata/annotations",
                true,
                pairs,
            );
        }
    }
}
