//! The text that describes an object: titles, values in a column, lists below one another.
//!
//! Owns how tabs become columns, as Go's tabwriter does it, and that nothing a value holds reaches
//! the terminal as a command. Never knows what is told.

use std::fmt::Display;

use serde_json::Value;

use super::value::{entries, text};

/// Gap after a column.
const GAP: usize = 2;
/// Longest annotation on one line, in bytes.
const LONG: usize = 140;
/// What `apply` keeps for itself.
const HIDDEN: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A text that grows.
#[derive(Debug, Default)]
pub(super) struct Page {
    done: String,
    open: String,
    /// Stands before each part of what is nested; kubectl repeats it before values.
    nest: &'static str,
}

impl Page {
    /// `title:  value`, indented by `level`.
    pub(super) fn field(&mut self, level: usize, title: &str, value: impl Display) {
        self.line(level, format_args!("{title}:\t{value}"));
    }

    /// A line as it is; tabs end cells.
    pub(super) fn line(&mut self, level: usize, line: impl Display) {
        self.open += self.nest;
        self.open += &format!("{:1$}{line}\n", "", level * 2);
    }

    /// Values below one another.
    pub(super) fn below(&mut self, title: &str, values: &[String]) {
        let nest = self.nest;
        self.open += &format!("{nest}{title}:\t");
        let none = ["<none>".to_owned()];
        let values = if values.is_empty() { &none } else { values };
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.open += &format!("{nest}{nest}\t");
            }
            self.open += &format!("{nest}{value}\n");
        }
    }

    /// `a=b` below one another.
    pub(super) fn labels(&mut self, title: &str, labels: &Value) {
        let pairs = entries(labels);
        let pairs = pairs.map(|(key, value)| format!("{key}={}", text(value)));
        self.below(title, &pairs.collect::<Vec<_>>());
    }

    /// `a: b` below one another; long ones stand under their names and are cut.
    pub(super) fn annotations(&mut self, title: &str, annotations: &Value) {
        let nest = self.nest;
        let shown = entries(annotations).filter(|(key, _)| *key != HIDDEN);
        let shown = shown.map(|(key, value)| {
            let value = text(value);
            let value = value.strip_suffix('\n').unwrap_or(&value);
            if key.len() + value.len() + 2 <= LONG && !value.contains('\n') {
                return format!("{key}: {value}");
            }
            let lines = value.split('\n');
            let lines = lines.map(|line| format!("\n{nest}\t  {}", shortened(line, LONG - 2)));
            format!("{key}:{}", lines.collect::<String>())
        });
        self.below(title, &shown.collect::<Vec<_>>());
    }

    /// What `tell` adds stands further right, as kubectl's claims within volumes do.
    pub(super) fn nested(&mut self, tell: impl FnOnce(&mut Page)) {
        self.nest = "    ";
        tell(self);
        self.nest = "";
    }

    /// Columns that follow have widths of their own.
    pub(super) fn flush(&mut self) {
        self.done += &aligned(&std::mem::take(&mut self.open));
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        self.flush();
        self.done
    }
}

/// The start of a line, and that there was more of it.
pub(super) fn shortened(line: &str, bytes: usize) -> String {
    match line.len() > bytes {
        true => format!("{}...", &line[..line.floor_char_boundary(bytes)]),
        false => line.to_owned(),
    }
}

/// No value moves the cursor.
fn harmless(text: &str) -> String {
    text.replace('\u{1b}', "^[").replace('\r', "\\r")
}

/// Cells that a tab ends are as wide as the widest of those right above and below them.
fn aligned(text: &str) -> String {
    let text = harmless(text);
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|line| vec![0; line.len() - 1]).collect();
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut at = 0;
        while at < lines.len() {
            let rest = &widths[at..];
            let run = rest.iter().take_while(|line| line.len() > column).count();
            let cells = lines[at..at + run].iter().map(|line| line[column]);
            let width = cells.map(|cell| cell.chars().count() + GAP).max();
            for line in &mut widths[at..at + run] {
                line[column] = width.unwrap_or(0);
            }
            at += run.max(1);
        }
    }
    let mut out = String::new();
    for (line, widths) in lines.iter().zip(&widths) {
        for (at, cell) in line.iter().enumerate() {
            let width = widths.get(at).copied().unwrap_or(0);
            out += &format!("{cell:<width$}");
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_neighbours() {
        for (text, wanted) in [
            ("a:\tb\nlonger:\tc\n", "a:       b\nlonger:  c\n"),
            ("a:\tb\nx\nlonger:\tc\n", "a:  b\nx\nlonger:  c\n"),
            ("a\tb\tc\nd\te\nf\tlong\tg\n", "a  b  c\nd  e\nf  long  g\n"),
            ("\t\tx\na\t\ty\n", "     x\na    y\n"),
            (
                "\u{e9}\u{e9}\u{e9}\tx\nab\ty\n",
                "\u{e9}\u{e9}\u{e9}  x\nab   y\n",
            ),
            ("a\u{1b}[2J\tx\r\n", "a^[[2J  x\\r\n"),
            ("", ""),
        ] {
            assert_eq!(aligned(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn long_annotations_are_cut_and_what_apply_keeps_is_hidden() {
        let long = "\u{e9}".repeat(100);
        let mut page = Page::default();
        page.annotations(
            "A",
            &json!({ HIDDEN: "x", "b": "two\nlines\n", "c": long, "d": "e" }),
        );
        page.annotations("B", &json!({ HIDDEN: "x" }));
        let wanted = format!(
            "A:  b:\n      two\n      lines\n    c:\n      {}...\n    d: e\nB:  <none>\n",
            "\u{e9}".repeat(69)
        );
        assert_eq!(page.finish(), wanted);
    }
}
