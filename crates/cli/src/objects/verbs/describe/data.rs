//! Objects that hold data: configmaps, and secrets, whose values are never shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::page::Page;
use super::value::{entries, text};

pub(super) fn config_map(object: &Value, page: &mut Page) {
    head(object, page);
    page.line(0, "\nData\n====");
    for (key, value) in entries(&object["data"]) {
        page.line(0, format_args!("{key}:\n----\n{}\n", text(value)));
    }
    page.line(0, "\nBinaryData\n====");
    for (key, value) in entries(&object["binaryData"]) {
        page.line(0, format_args!("{key}: {} bytes", size(value)));
    }
    page.line(0, "");
}

pub(super) fn secret(object: &Value, page: &mut Page) {
    head(object, page);
    page.line(0, "");
    page.field(0, "Type", text(&object["type"]));
    page.line(0, "\nData\n====");
    for (key, value) in entries(&object["data"]) {
        page.field(0, key, format_args!("{} bytes", size(value)));
    }
}

fn head(object: &Value, page: &mut Page) {
    let meta = &object["metadata"];
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
}

fn size(encoded: &Value) -> usize {
    STANDARD
        .decode(text(encoded))
        .map_or(0, |bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_stay_so() {
        let secret = json!({ "metadata": { "name": "s" }, "type": "Opaque",
            "data": { "k": "aGlkZGVu" } });
        let mut page = Page::default();
        super::secret(&secret, &mut page);
        let told = page.finish();
        assert!(told.contains("k:  6 bytes"), "{told}");
        assert!(!told.contains("hidden") && !told.contains("aGlk"), "{told}");
    }
}
