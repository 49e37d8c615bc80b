//! The ladder as tables: one to compare rungs, one with the share of each phase, for every discard.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_BORDERS_ONLY};
use comfy_table::{Cell, CellAlignment, Table, TableStyle};
use host::axes::Discard;

use crate::axis::Named;
use crate::growth::Change;
use crate::histogram::Phase;
use crate::summary::{CellSummary, Summary};
use crate::unit::{Unit, float, percent, ratio, signed_percent};
use crate::verdict;

/// What a cell that freed nothing says; a terminal shows it in red.
pub const FREED_NOTHING: &str = "freed 0";

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
    pub fn new(title: String, header: Vec<String>, rows: Vec<Vec<String>>) -> Self {
        Self { title, header, rows, is_elsewhere: false }
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

/// The rungs side by side, for one discard.
#[must_use]
pub fn ladder(summary: &Summary, discard: Discard) -> Grid {
    let reached = discard != Discard::None;
    let mut header =
        strings(["", "a range", "p99", "a report", "p99", "exits/1000", "to the rung before [95 %]", "n"]);
    if reached {
        header.extend(strings(["freed", "refault"]));
    }
    let rows =
        summary.cells.iter().filter(|cell| cell.discard.0 == discard).map(|cell| row(summary, cell, reached));
    let what = format!("median and 99th percentile{}", counted(summary.unit));
    Grid { title: title(summary, discard, &what), header, rows: rows.collect(), is_elsewhere: false }
}

/// What a title says about figures that are no time.
fn counted(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "",
        Unit::Instructions => " in executed instructions",
    }
}

fn title(summary: &Summary, discard: Discard, what: &str) -> String {
    let spec = &summary.spec;
    format!("discard {}: {what}; {} ranges of order {} a report", Named(discard), spec.batch, spec.order)
}

fn row(summary: &Summary, cell: &CellSummary, reached: bool) -> Vec<String> {
    let unit = summary.unit;
    let step = cell.step.as_ref().map_or_else(String::new, |step| {
        let shown = if step.per_range.shows_difference() { "" } else { "~ " };
        format!("{shown}{}", verdict::show(unit, &step.per_range))
    });
    let mut row = vec![
        cell.label().to_owned(),
        unit.show(cell.per_range.p50),
        unit.show(cell.per_range.p99),
        unit.show(cell.per_report.p50),
        unit.show(cell.per_report.p99),
        format!("{:.0}", cell.exits_per_1000_ranges),
        step,
        cell.reports.to_string(),
    ];
    if reached {
        row.extend([
            freed(cell),
            if cell.names_pages() { unit.show(cell.refault_per_page) } else { String::new() },
        ]);
    }
    row
}

fn freed(cell: &CellSummary) -> String {
    let proof = &cell.proof;
    match (proof.reported, proof.freed) {
        (0, _) => String::new(),
        (_, 0) => FREED_NOTHING.to_owned(),
        (reported, freed) => percent(ratio(float(freed), float(reported))),
    }
}

/// The share of each phase in a report, for one discard.
#[must_use]
pub fn phases(summary: &Summary, discard: Discard) -> Grid {
    use abi::axes::Axis;
    let mut header = vec![String::new()];
    header.extend(Phase::PARTS.iter().map(|phase| phase.name().to_owned()));
    let rows = summary.cells.iter().filter(|cell| cell.discard.0 == discard).map(|cell| {
        let mut row = vec![cell.label().to_owned()];
        row.extend(Phase::PARTS.iter().map(|phase| percent(cell.phase(*phase).share)));
        row
    });
    Grid {
        title: title(summary, discard, "share of each phase in the cost of a report"),
        header,
        rows: rows.collect(),
        is_elsewhere: false,
    }
}

/// Rungs then and now, in instructions.
#[must_use]
pub fn growth(changes: &[Change]) -> Grid {
    let unit = Unit::Instructions;
    let header = strings(["", "discard", "reference", "now", "change", "", "mostly in"]);
    let rows = changes.iter().map(|change| {
        let (phase, by) = change.mostly;
        vec![
            change.rung.to_string(),
            change.discard.to_string(),
            unit.show(change.before),
            unit.show(change.after),
            signed_percent(change.share()),
            change.word().to_owned(),
            if by == 0.0 { String::new() } else { format!("{phase} {}", unit.show_change(by)) },
        ]
    });
    Grid {
        title: "instructions a report, median, against the reference".to_owned(),
        header,
        rows: rows.collect(),
        is_elsewhere: false,
    }
}

/// Every phase of one cell.
#[must_use]
pub fn one_cell(summary: &Summary, cell: &CellSummary) -> Grid {
    use abi::axes::Axis;
    let header = strings(["", "median", "p90", "p99", "p99.9", "max", "mean", "share", "n"]);
    let unit = summary.unit;
    let rows = Phase::ALL.iter().map(|phase| {
        let figures = cell.phase(*phase);
        let cost = figures.cost;
        let share = if Phase::PARTS.contains(phase) { percent(figures.share) } else { String::new() };
        let mut row = vec![phase.name().to_owned()];
        row.extend(
            [cost.p50, cost.p90, cost.p99, cost.p999, cost.max, cost.mean].map(|cost| unit.show(cost)),
        );
        row.extend([share, cost.n.to_string()]);
        row
    });
    let title = format!("{}, a report{}", cell.title(), counted(unit));
    Grid { title, header, rows: rows.collect(), is_elsewhere: false }
}
