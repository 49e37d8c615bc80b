//! Linux as a guest: what is found in trials of real kernels, with and without reporting.

use abi::addr::{Order, pages_for};
use host::axes::{Discard, Freed};
use host::linux::Report;

use crate::figure::check::{Check, Standing};
use crate::figure::table::Grid;
use crate::trial::linux::{Choices, Line, Measured, Task};

/// A line a trial.
pub const FILE: &str = "linux.jsonl";

/// Of pages that a task has freed, how many need not be gone when memory is looked at: one in so many. What does not make up a
/// whole block is not told, and a kernel that is at rest allocates too.
const NOT_GONE: u64 = 10;

/// A cell in words.
#[must_use]
pub fn name(choices: &Choices) -> String {
    let discard = match (choices.report.0, choices.discard.0) {
        (Report::Off, _) => String::new(),
        (_, Discard::None) => ", nothing discarded".to_owned(),
        (_, discard) => format!(", {}", abi::axes::Axis::name(discard)),
    };
    format!("{} ({} pages), {}{discard}", choices.task, choices.pages, choices.report)
}

/// Trials as they are kept.
#[must_use]
pub fn to_text(lines: &[Line]) -> String {
    let line = |line: &Line| serde_json::to_string(line).unwrap_or_default() + "\n";
    lines.iter().map(line).collect()
}

/// Trials as they were kept.
///
/// # Errors
/// The line that is none.
pub fn from_text(text: &str) -> anyhow::Result<Vec<Line>> {
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| anyhow::anyhow!("{FILE}, line {}: {error}", number + 1))
    };
    text.lines().enumerate().map(line).collect()
}

/// What is found.
pub struct Found {
    grids: Vec<Grid>,
    tick: &'static str,
    checks: Vec<Check>,
}

/// Looks at all trials.
#[must_use]
pub fn found(lines: &[Line]) -> Found {
    let mut grids = vec![reporting(lines)];
    if lines.iter().any(|line| line.choices.task.0 != Task::Memhog) {
        grids.push(operations(lines));
    }
    let instructions = measured(lines).all(|(_, measured)| measured.counts_instructions);
    let tick = if instructions {
        "A tick is an executed instruction: of guest, KVM, kernel and user space together."
    } else {
        "A tick is one of the time stamp counter. In an emulator that says only that everything works."
    };
    Found { grids, tick, checks: checks(lines) }
}

impl Found {
    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let grids = self.grids.iter().map(|grid| format!("{}\n{}\n\n", grid.title, grid.to_text()));
        format!("{}{}\n\n{}", grids.collect::<String>(), self.tick, self.said())
    }

    /// For Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let grids = self.grids.iter().map(|grid| format!("## {}\n\n{}\n\n", grid.title, grid.to_markdown()));
        let grids = grids.collect::<String>();
        format!("# Linux as a guest\n\n{grids}{}\n\n## Checks\n\n{}", self.tick, self.said())
    }

    /// Whether everything that must hold does.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.standing != Standing::Fails)
    }

    fn said(&self) -> String {
        let check =
            |check: &Check| format!("- {}: {}: {}\n", check.standing.word(), check.what, check.detail);
        self.checks.iter().map(check).collect()
    }
}

fn measured(lines: &[Line]) -> impl Iterator<Item = (&Line, &Measured)> {
    lines.iter().filter_map(|line| Some((line, line.measured.as_ref()?)))
}

/// What was reported, by everybody's count.
fn reporting(lines: &[Line]) -> Grid {
    let count = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
    Grid::of(
        "Pages that were reported, by the guest's count, by ours and by the kernel's",
        measured(lines),
        &[
            ("guest", &|(line, _)| name(&line.choices)),
            ("boot, ticks", &|(_, measured)| measured.boot_ticks.to_string()),
            ("reports", &|(_, measured)| measured.in_all.reports.to_string()),
            ("by the guest", &|(_, measured)| count(measured.guest_reports)),
            ("pages told", &|(_, measured)| measured.in_all.told_pages.to_string()),
            ("by the guest", &|(_, measured)| count(measured.guest_pages)),
            ("told in the task", &|(_, measured)| measured.seen.told_pages.to_string()),
            ("discarded", &|(_, measured)| measured.seen.discarded_pages.to_string()),
            ("gone", &|(_, measured)| measured.seen.gone_pages.to_string()),
            ("hypercalls", &|(_, measured)| measured.in_all.hypercall_exits.to_string()),
            ("register exits", &|(_, measured)| measured.in_all.mmio_exits.to_string()),
            ("until settled, ticks", &|(_, measured)| count(measured.settle_ticks)),
            ("taking it again, ticks", &|(_, measured)| count(measured.refault_ticks)),
        ],
    )
}

/// What operations cost, with and without.
fn operations(lines: &[Line]) -> Grid {
    let each = |measured: &Measured| {
        let (ticks, operations) = (measured.ticks?, measured.operations?);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let each = ticks as f64 / operations.max(1) as f64;
        Some(each)
    };
    let off = |choices: &Choices| {
        let same = |other: &Choices| (other.task, other.pages) == (choices.task, choices.pages);
        let is_off = |line: &&Line| line.choices.report.0 == Report::Off && same(&line.choices);
        lines.iter().filter(is_off).find_map(|line| each(line.measured.as_ref()?))
    };
    Grid::of(
        "What an operation costs, reporting or not",
        measured(lines).filter(|(_, measured)| measured.operations.is_some()),
        &[
            ("guest", &|(line, _)| name(&line.choices)),
            ("operations", &|(_, measured)| measured.operations.unwrap_or(0).to_string()),
            ("ticks each", &|(_, measured)| {
                each(measured).map_or_else(String::new, |each| format!("{each:.1}"))
            }),
            ("operations a tick, of those without", &|(line, measured)| {
                let share = each(measured).zip(off(&line.choices)).map(|(each, off)| off / each);
                share.map_or_else(String::new, |share| format!("{:.2} %", 100.0 * share))
            }),
            ("reports", &|(_, measured)| measured.seen.reports.to_string()),
            ("pages told", &|(_, measured)| measured.seen.told_pages.to_string()),
            ("discard, ticks", &|(_, measured)| measured.seen.discard_ticks.to_string()),
        ],
    )
}

fn checks(lines: &[Line]) -> Vec<Check> {
    let check = |what: &str, failed: Vec<String>, detail: String| Check {
        what: what.to_owned(),
        standing: if failed.is_empty() { Standing::Holds } else { Standing::Fails },
        detail: if failed.is_empty() { detail } else { failed.join("; ") },
    };
    let of = |is_wrong: &dyn Fn(&Line, &Measured) -> Option<String>| -> Vec<String> {
        let one = |(line, measured): (&Line, &Measured)| {
            Some(format!("{}: {}", name(&line.choices), is_wrong(line, measured)?))
        };
        measured(lines).filter_map(one).collect()
    };
    let ended =
        lines.iter().filter_map(|line| Some(format!("{}: {}", name(&line.choices), line.error.as_ref()?)));
    let checked: u64 = measured(lines).map(|(_, measured)| measured.checked_pages).sum();
    vec![
        check("every guest came to its end", ended.collect(), format!("{} guests", lines.len())),
        check(
            "no page in use lost its contents",
            of(&|_, measured| (measured.wrong_words > 0).then(|| format!("{} words", measured.wrong_words))),
            format!("{checked} pages checked, and all that the tasks held"),
        ),
        check(
            "guest and host count the same reports and pages",
            of(&|_, measured| {
                let ours = (measured.in_all.reports, measured.in_all.told_pages);
                let guests = (measured.guest_reports?, measured.guest_pages?);
                (ours != guests).then(|| {
                    format!(
                        "{} reports of {} pages by the guest, {} of {} by us",
                        guests.0, guests.1, ours.0, ours.1
                    )
                })
            }),
            "wherever the guest counts".to_owned(),
        ),
        check(
            "what the task freed is gone, and no more than was discarded",
            of(&|line, measured| {
                let (gone, discarded) =
                    (measured.seen.gone_pages, measured.seen.discarded_pages.cast_signed());
                // Only where the guest was at rest are pages not in use again. What is told twice is gone once.
                let way = line.choices.report.0.way(line.choices.discard.0);
                let is_looked_at = line.choices.task.0 == Task::Memhog
                    && line.choices.report.0 != Report::Off
                    && way.frees(Order::PAGE) == Freed::All;
                let freed = pages_for(u64::from(line.choices.mib) << 20);
                let least = if is_looked_at { (freed - freed / NOT_GONE).cast_signed() } else { i64::MIN };
                (gone > discarded || gone < least).then(|| format!("{discarded} discarded, {gone} gone"))
            }),
            format!(
                "by the kernel's account; up to one in {NOT_GONE} may be in no whole block, or in use again"
            ),
        ),
        check(
            "nothing was refused, and no discard failed",
            of(&|_, measured| {
                let bad = measured.refused + measured.in_all.madvise_failures;
                (bad > 0).then(|| format!("{bad}"))
            }),
            "every range was memory of the guest".to_owned(),
        ),
    ]
}
