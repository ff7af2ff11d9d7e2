//! Texts in aligned columns.

use crate::terminal::Palette;

/// Rows below headings; a heading that begins with `>` has its column aligned to the right.
pub(super) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub(super) fn of(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: printable texts, one for each heading.
    pub(super) fn row(&mut self, row: impl Into<Vec<String>>) {
        self.rows.push(row.into());
    }

    /// The lines; the headings first.
    pub(super) fn lines(&self, palette: Palette) -> Vec<String> {
        let headings: Vec<_> = self
            .headings
            .iter()
            .map(|heading| heading.trim_start_matches('>').to_owned())
            .collect();
        let rows = || std::iter::once(&headings).chain(&self.rows);
        let widths: Vec<usize> = (0..headings.len())
            .map(|column| {
                let texts = rows().filter_map(|row| row.get(column));
                texts.map(|text| text.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut lines = rows().map(|row| self.line(row, &widths));
        let first = lines.next().map(|line| palette.dim(&line));
        first.into_iter().chain(lines).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let columns = row.iter().zip(widths).zip(&self.headings);
        let cells: Vec<_> = columns
            .map(|((text, &width), heading)| {
                if heading.starts_with('>') {
                    format!("{text:>width$}")
                } else {
                    format!("{text:<width$}")
                }
            })
            .collect();
        cells.join("  ").trim_end().to_owned()
    }
}

/// The first so many characters of a text; `…` stands for the rest.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept = text.chars().take(longest.saturating_sub(1));
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_text_and_lines_end_with_it() {
        let mut table = Table::of(&["name", ">count", "cause"]);
        table.row(["żółw".to_owned(), "7".to_owned(), String::new()]);
        table.row(["a".to_owned(), "1000000".to_owned(), "no".to_owned()]);
        assert_eq!(
            table.lines(Palette::PLAIN),
            ["name    count  cause", "żółw        7", "a     1000000  no"]
        );
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("żółw", 4), "żółw");
    }
}
