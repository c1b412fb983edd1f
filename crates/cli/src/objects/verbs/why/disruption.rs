//! Why a disruption budget keeps pods from being evicted, or keeps none. Pure.

use jiff::Timestamp;

use super::cause::{Finding, Seen, condition, count, int, name, text};
use super::container::short;
use super::place;
use crate::objects::verbs::describe::selector;

/// What is with a budget: policy/v1, `PodDisruptionBudget.status`.
pub(super) fn budget(seen: &Seen, now: Timestamp) -> Finding {
    let budget = &seen.object;
    let own = name(budget);
    let of = |field: &str| int(budget, &format!("/status/{field}"));
    let (pods, healthy, wanted) = (
        of("expectedPods"),
        of("currentHealthy"),
        of("desiredHealthy"),
    );
    let allowed = of("disruptionsAllowed");
    let chosen = match selector(&budget["spec"]["selector"]) {
        none if none.is_empty() => "(none)".to_owned(),
        chosen => chosen,
    };
    let failed =
        condition(budget, "DisruptionAllowed").filter(|one| text(one, "/reason") == "SyncFailed");
    let found = place::deletion(seen, now).unwrap_or_else(|| {
        if let Some(failed) = failed {
            return Finding::wrong(
                format!(
                    "budget {own} lets no pod be evicted: {}",
                    short(text(failed, "/message"))
                ),
                "give the pods an owner that says how many there are to be, or name minAvailable as a number",
            );
        }
        if pods == 0 {
            return Finding::wrong(
                format!("budget {own} keeps nothing: its selector {chosen} matches no pod"),
                "correct spec.selector: `weft get pods --show-labels` lists the labels there are",
            );
        }
        if allowed > 0 {
            return Finding::well(format!(
                "budget {own} lets {allowed} of {pods} pods be evicted now"
            ));
        }
        let says = format!("budget {own} lets no pod be evicted: {healthy} of {pods} are healthy, and {wanted} have to be");
        match wanted >= pods {
            true => Finding::waiting(
                says,
                "a drain waits for ever: run more replicas, or lower minAvailable (raise maxUnavailable)",
            ),
            false => Finding::waiting(says, format!("`weft get pods -l {chosen}` tells which are not")),
        }
    });
    let says = format!(
        "{}, {allowed} may be evicted",
        count(usize::try_from(pods).unwrap_or(0), "pod")
    );
    found.under(format!("poddisruptionbudget/{own}"), says)
}
