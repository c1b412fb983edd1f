//! What happened to an object, at the end of its text.

use serde_json::Value;

use super::page::Page;
use super::value::{ago, text};

/// A table of events, oldest first.
pub(super) fn tell(events: &[Value], page: &mut Page) {
    if events.is_empty() {
        return page.field(0, "Events", "<none>");
    }
    page.flush();
    page.line(0, "Events:");
    page.line(1, "Type\tReason\tAge\tFrom\tMessage");
    page.line(1, "----\t------\t----\t----\t-------");
    let mut events: Vec<&Value> = events.iter().collect();
    events.sort_by_cached_key(|event| text(&event["lastTimestamp"]));
    for event in events {
        let from = [&event["source"]["component"], &event["reportingComponent"]];
        let from = from.map(text).into_iter().find(|from| !from.is_empty());
        page.line(
            1,
            format_args!(
                "{}\t{}\t{}\t{}\t{}",
                text(&event["type"]),
                text(&event["reason"]),
                interval(event),
                from.unwrap_or_default(),
                text(&event["message"]).trim()
            ),
        );
    }
}

/// `5m (x3 over 1h)`
fn interval(event: &Value) -> String {
    let first = match event["eventTime"].is_string() {
        true => ago(&event["eventTime"]),
        false => ago(&event["firstTimestamp"]),
    };
    let (series, count) = (&event["series"], event["count"].as_u64().unwrap_or(0));
    if series.is_object() {
        let last = ago(&series["lastObservedTime"]);
        return format!("{last} (x{} over {first})", text(&series["count"]));
    }
    match count > 1 {
        true => format!("{} (x{count} over {first})", ago(&event["lastTimestamp"])),
        false => first,
    }
}
