//! A text as a QR code made of blocks, two rows of modules a line.
//!
//! Never: colours; what is light is a block, as terminals are mostly dark, and readers take both.

use qrcode::{Color, EcLevel, QrCode};

use crate::error::CliError;

/// Light modules around a code, without which readers do not find it.
const QUIET: usize = 4;

/// The lines, if they fit into so many columns.
pub fn render(text: &str, columns: Option<usize>) -> Result<String, CliError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L);
    let code = code.map_err(|error| CliError::because("make a QR code", &error))?;
    let size = code.width() + 2 * QUIET;
    if let Some(columns) = columns.filter(|columns| *columns < size) {
        let message = format!("the QR code has {size} columns, the terminal {columns}");
        return Err(CliError::new(message).hint("make it wider, or take the text"));
    }
    let inner = QUIET..QUIET + code.width();
    let is_light = |x: usize, y: usize| {
        !(inner.contains(&x) && inner.contains(&y)) || code[(x - QUIET, y - QUIET)] == Color::Light
    };
    let mut out = String::new();
    for y in (0..size).step_by(2) {
        for x in 0..size {
            // Below the last row there is nothing, which is not light.
            let below = y + 1 < size && is_light(x, y + 1);
            out.push(match (is_light(x, y), below) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push('\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "abcdef.0123456789abcdef";

    /// Modules from the lines: light or not.
    fn modules(lines: &str) -> Vec<Vec<bool>> {
        let mut all = Vec::new();
        for line in lines.lines() {
            all.push(line.chars().map(|c| matches!(c, '█' | '▀')).collect());
            all.push(line.chars().map(|c| matches!(c, '█' | '▄')).collect());
        }
        all
    }

    #[test]
    fn the_lines_are_the_code() {
        let lines = render(TOKEN, None).unwrap();
        let found = modules(&lines);
        let code = QrCode::with_error_correction_level(TOKEN, EcLevel::L).unwrap();
        let size = code.width() + 2 * QUIET;
        assert!(found.len() >= size && found.iter().all(|row| row.len() == size));
        for y in 0..size {
            for x in 0..size {
                let inside =
                    (QUIET..size - QUIET).contains(&x) && (QUIET..size - QUIET).contains(&y);
                let dark = inside && code[(x - QUIET, y - QUIET)] == Color::Dark;
                assert_eq!(found[y][x], !dark, "{x} {y}");
            }
        }
        // The corner that readers look for: a dark ring of seven, light within.
        let at = QUIET;
        assert!((0..7).all(|x| !found[at][at + x] && !found[at + 6][at + x]));
        assert!((1..6).all(|x| found[at + 1][at + x]));
    }

    #[test]
    fn a_narrow_terminal_is_told() {
        let size = render(TOKEN, None)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .chars()
            .count();
        assert!(render(TOKEN, Some(size)).is_ok());
        let refused = render(TOKEN, Some(size - 1)).unwrap_err();
        assert!(
            refused.message().contains("columns"),
            "{}",
            refused.message()
        );
    }
}
