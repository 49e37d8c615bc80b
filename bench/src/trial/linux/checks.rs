//! What must hold of every trial of a Linux guest.

use super::choices::Choices;
use super::measured::{LinuxMeasured, pages};
use crate::figure::check::{Check, Standing, none_of};
use crate::figure::unit::total;
use crate::trial::kind::{Kind, Linux};
use crate::trial::record::TrialRecord;

/// Of pages that a task has freed, how many need not be gone when memory is looked at: one in so many. What does not make
/// up a whole block is not told, and a kernel that is at rest allocates too.
const NOT_GONE: u64 = 10;

/// A trial with its choices and what it measured.
struct Measured<'a> {
    trial: u32,
    choices: Choices,
    found: &'a LinuxMeasured,
}

impl<'a> Measured<'a> {
    fn of(record: &'a TrialRecord) -> Option<Self> {
        let (choices, found) = (Linux::choices(&record.choices())?, record.measured::<Linux>()?);
        Some(Self { trial: record.trial, choices, found })
    }

    /// Whether it is looked at what becomes of the pages its task freed.
    fn is_looked_at(&self) -> bool {
        self.choices.gives_back() && !self.choices.task.0.is_timed()
    }
}

/// All of them, of the trials that are of a Linux guest; none where there is none.
#[must_use]
pub fn all(trials: &[TrialRecord]) -> Vec<Check> {
    let measured: Vec<Measured<'_>> = trials.iter().filter_map(Measured::of).collect();
    if measured.is_empty() {
        return Vec::new();
    }
    let mut checks = Vec::new();
    checks.extend(both_count(&measured));
    checks.extend(gone(&measured));
    checks.extend(none_stayed(&measured));
    checks.push(only_what_was_told(&measured));
    checks
}

fn both_count(measured: &[Measured<'_>]) -> Option<Check> {
    let counted = |one: &&Measured<'_>| one.found.guest_reports.is_some() && one.found.guest_pages.is_some();
    let counted: Vec<_> = measured.iter().filter(counted).collect();
    let first = counted.first()?;
    let faults = counted.iter().filter_map(|one| {
        let ours = (one.found.in_all.reports, one.found.in_all.told_pages);
        let guests = (one.found.guest_reports?, one.found.guest_pages?);
        (ours != guests).then(|| {
            format!(
                "trial {}: {} reports of {} pages by the guest, {} of {} by us",
                one.trial, guests.0, guests.1, ours.0, ours.1
            )
        })
    });
    let what = "guest and host count the same reports and pages";
    let reports = total(counted.iter().map(|one| one.found.in_all.reports));
    let detail = format!("{reports} reports of {} guests such as {}", counted.len(), first.found.kernel);
    Some(none_of(what, Standing::Fails, &faults.collect::<Vec<_>>(), reports, detail))
}

/// The kernel of the host has back what the guest's has told of, page by page.
fn gone(measured: &[Measured<'_>]) -> Option<Check> {
    let looked: Vec<_> = measured.iter().filter(|one| one.is_looked_at()).collect();
    looked.first()?;
    let mut faults = Vec::new();
    for one in &looked {
        let freed = pages(one.choices.footprint);
        let least = freed - freed / NOT_GONE;
        match one.found.account {
            None => faults.push(format!("trial {}: more reports than are noted", one.trial)),
            Some(account) if account.gone < least => {
                faults.push(format!("trial {}: {} of {freed} freed pages are gone", one.trial, account.gone));
            }
            Some(_) => {}
        }
    }
    let pages = total(looked.iter().filter_map(|one| Some(one.found.account?.gone)));
    let what = "as much as the task freed was told of, and is gone";
    let detail = format!(
        "{pages} pages by the kernel's account; up to one in {NOT_GONE} may be in no whole block, or in use again"
    );
    Some(none_of(what, Standing::Fails, &faults, pages, detail))
}

/// Nothing was there any more when its report was answered.
fn none_stayed(measured: &[Measured<'_>]) -> Option<Check> {
    let accounts: Vec<_> = measured
        .iter()
        .filter(|one| one.is_looked_at())
        .filter_map(|one| Some((one.trial, one.found.account?)))
        .collect();
    accounts.first()?;
    let faults = accounts.iter().filter_map(|(trial, account)| {
        let stayed = account.stayed.filter(|stayed| *stayed > 0)?;
        Some(format!("trial {trial}: {stayed} of {} pages were still there", account.distinct))
    });
    let faults: Vec<_> = faults.collect();
    let distinct = total(accounts.iter().map(|(_, account)| account.distinct));
    let touched = total(accounts.iter().filter_map(|(_, account)| account.touched));
    let what = "every page of a report was gone when the report was answered";
    let detail = format!("{distinct} different pages; {touched} of them were touched again since");
    Some(none_of(what, Standing::Fails, &faults, distinct, detail))
}

/// No more pages are gone than reports named.
fn only_what_was_told(measured: &[Measured<'_>]) -> Check {
    let faults = measured.iter().filter_map(|one| {
        let (gone, discarded) = (one.found.seen.gone_pages, one.found.seen.discarded_pages.cast_signed());
        let sentence = || format!("trial {}: {discarded} discarded, {gone} fewer resident", one.trial);
        (gone > discarded).then(sentence)
    });
    let faults: Vec<_> = faults.collect();
    let what = "no more pages are gone than were discarded";
    let count = measured.len() as u64;
    none_of(what, Standing::Fails, &faults, count, format!("{count} guests, while their tasks ran"))
}
