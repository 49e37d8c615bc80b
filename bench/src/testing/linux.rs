//! A fake for tests: a Linux guest that needs no KVM.

use abi::control::Control;
use host::kvm::{Counter, Placed};
use host::linux::{Account, LinuxOutcome, Mark, Report};
use host::reclaim::Refused;

use crate::trial::linux::choices::LinuxTrial;

/// Ticks in a millisecond.
const MS: u64 = 2_000_000;
/// Pages of a report.
const REPORT: u64 = 16_384;

fn mark(at: Control, ms: u64) -> Mark {
    Mark { at, ticks: ms * MS, ..Mark::before(1 << 17) }
}

/// A guest that reports all it frees, in reports of 64 MiB, and whose operations take 1 µs, 2 % more where it reports.
pub(crate) fn outcome(trial: &LinuxTrial) -> LinuxOutcome {
    let choices = trial.choices;
    let (reports, frees) = (choices.report.0 != Report::Off, choices.gives_back());
    let freed = choices.footprint / 4096;
    let told = if reports { freed } else { 0 };
    let gone = if frees { told } else { 0 };
    let settled = Mark {
        reports: told.div_ceil(REPORT),
        told_pages: told,
        discarded_pages: gone,
        resident_pages: (1 << 17) - gone,
        ..mark(Control::Settled, 3000)
    };
    let operations = choices.rounds * freed;
    let mut said = vec!["kernel=6.1.0-fake".to_owned()];
    let mut say = |name: &str, value: u64| said.push(format!("{name}={value}"));
    if choices.task.0.is_timed() {
        say("operations", operations);
        say("ticks", operations * if reports { 2040 } else { 2000 });
    } else {
        say("reports", settled.reports);
        say("pages", settled.told_pages);
        say("settle_ticks", 2500 * MS);
        say("refault_ticks", 100 * MS);
    }
    say("checked_pages", choices.kept / 4096);
    say("wrong_words", 0);
    LinuxOutcome {
        said,
        bell: choices.way.doorbell.0.bell(choices.way.carrier.0, host::axes::Bell::Vmmcall),
        counter: Counter::Time,
        before: mark(Control::Ready, 0),
        marks: vec![mark(Control::Ready, 500), mark(Control::Begin, 600), settled],
        account: Some(Account {
            told_pages: told,
            distinct_pages: told,
            gone_pages: gone,
            stayed_pages: Some(told - gone),
            touched_pages: Some(0),
            until: [frees.then_some(2000 * MS); 3],
        }),
        told: Vec::new(),
        refused: Refused::default(),
        madvise_error: None,
        stale_kicks: 0,
        tsc_khz: 2_000_000,
        placed: Placed::default(),
        boot_ticks: 500 * MS,
    }
}
