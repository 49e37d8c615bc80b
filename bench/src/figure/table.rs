//! A table: what it shows, and how it looks on a terminal, in Markdown and in a page.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_BORDERS_ONLY};
use comfy_table::{Cell, CellAlignment, Table, TableStyle};

use crate::figure::markup::Element;

/// What a cell that gave nothing back says; a terminal shows it in red.
pub const NOTHING_BACK: &str = "none";

/// What a column is called, and what stands in it.
pub type Column<'a, R> = (&'a str, &'a dyn Fn(&R) -> String);

/// A table without its looks.
pub struct Grid {
    /// What it shows.
    pub title: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    is_elsewhere: bool,
}

impl Grid {
    /// A table; every row has as many cells as the header.
    #[must_use]
    pub fn new(title: impl Into<String>, header: Vec<String>, rows: Vec<Vec<String>>) -> Self {
        Self { title: title.into(), header, rows, is_elsewhere: false }
    }

    /// A table with a row for each of `rows`. A column in which no row has anything to say is left out: what is not
    /// measured on this host, or means nothing to these rows.
    #[must_use]
    pub fn of<R>(
        title: impl Into<String>,
        rows: impl IntoIterator<Item = R>,
        columns: &[Column<'_, R>],
    ) -> Self {
        let row = |row: R| columns.iter().map(|(_, cell)| cell(&row)).collect();
        let rows: Vec<Vec<String>> = rows.into_iter().map(row).collect();
        let says = |column: &usize| rows.iter().any(|row| !row[*column].is_empty());
        let kept: Vec<usize> = (0..columns.len()).filter(says).collect();
        let header = kept.iter().map(|column| columns[*column].0.to_owned()).collect();
        let of_row = |row: &Vec<String>| kept.iter().map(|column| row[*column].clone()).collect();
        Self::new(title, header, rows.iter().map(of_row).collect())
    }

    /// The same, with figures of other hosts than the run's.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        Self { is_elsewhere: true, ..self }
    }

    /// What to write below the title: a table that is copied out of a report keeps its host.
    #[must_use]
    pub fn place(&self, host: &str) -> String {
        if self.is_elsewhere { "on other hosts than this".to_owned() } else { format!("on {host}") }
    }

    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.render(UTF8_BORDERS_ONLY)
    }

    /// For Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.render(ASCII_MARKDOWN)
    }

    /// For a page.
    #[must_use]
    pub fn element(&self) -> Element {
        let head = self.header.iter().map(|cell| Element::of("th", cell.clone()).with("scope", "col"));
        let row = |row: &Vec<String>| {
            let cells = row.iter().enumerate().map(|(column, cell)| match column {
                0 => Element::of("th", cell.clone()).with("scope", "row"),
                _ => Element::of("td", cell.clone()),
            });
            Element::new("tr").all(cells)
        };
        Element::new("table")
            .holding(Element::of("caption", self.title.clone()))
            .holding(Element::new("thead").holding(Element::new("tr").all(head)))
            .holding(Element::new("tbody").all(self.rows.iter().map(row)))
    }

    fn render(&self, style: TableStyle) -> String {
        let mut table = Table::new();
        table.load_style(style).set_header(&self.header);
        for row in &self.rows {
            table.add_row(row.iter().map(Cell::new));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
            // Narrow enough for a terminal of 120 columns.
            column.set_padding((0, 1));
        }
        table.trim_fmt()
    }
}

pub(crate) fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_says_nothing_is_left_out() {
        let of = |rows: [&'static str; 2]| {
            Grid::of("", rows, &[("name", &|row| (*row).to_owned()), ("more", &|row| row[1..].to_owned())])
                .to_text()
        };
        assert!(!of(["a", "b"]).contains("more"));
        assert!(of(["a", "bc"]).contains("more"));
    }
}
