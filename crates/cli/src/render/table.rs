//! Plain padded columns, as docker prints them.
//!
//! Pure. Characters count as one column each.

/// Space between two columns.
const GAP: usize = 3;
/// A cut column keeps at least so many characters.
const CUT_MIN: usize = 8;

/// Lays out a heading and rows; lines longer than `width` lose the end of their last column.
pub fn layout(heading: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(cell.chars().count());
        }
    }
    let before_last: usize = widths.iter().rev().skip(1).map(|width| width + GAP).sum();
    let last_max = width.map(|width| width.saturating_sub(before_last).max(CUT_MIN));
    let heading: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&heading).chain(rows) {
        line(&mut out, row, &widths, last_max);
    }
    out
}

fn line(out: &mut String, row: &[String], widths: &[usize], last_max: Option<usize>) {
    for (column, cell) in row.iter().enumerate() {
        if column + 1 == row.len() {
            match last_max {
                Some(max) => out.push_str(&super::units::ellipsis(cell, max)),
                None => out.push_str(cell),
            }
        } else {
            out.push_str(cell);
            let padding = widths[column] + GAP - cell.chars().count();
            out.extend(std::iter::repeat_n(' ', padding));
        }
    }
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_is_cut() {
        let rows = vec![
            vec!["abc".to_owned(), "a long last column".to_owned()],
            vec!["x".to_owned(), String::new()],
        ];
        assert_eq!(
            layout(&["ID", "NAME"], &rows, None),
            "ID    NAME\nabc   a long last column\nx\n"
        );
        assert_eq!(
            layout(&["ID", "NAME"], &rows, Some(16)),
            "ID    NAME\nabc   a long la…\nx\n"
        );
        assert_eq!(
            layout(&["ID", "NAME"], &rows, Some(3)),
            "ID    NAME\nabc   a long …\nx\n"
        );
    }
}
