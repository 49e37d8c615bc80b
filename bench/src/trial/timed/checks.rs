//! What must hold of every timed trial, whatever is asked of it.

use std::collections::{BTreeMap, BTreeSet};

use abi::axes::Axis;
use abi::timed::burst::Burst;
use host::axes::{Discard, Freed, Servicer, Way};

use super::choices::Choices;
use super::measured::ProofCounts;
use super::told;
use super::witness::{self, Agreement};
use crate::axes::named::Named;
use crate::figure::check::{Check, Standing, check, none_of, plural};
use crate::figure::unit::{Unit, float, total};
use crate::trial::back::{Look, all_of, by, in_part};
use crate::trial::record::TrialRecord;
use ended::Measured;

mod ended;
mod together;

/// The most memory beside guest memory a trial should take, in bytes.
const MEMORY: u64 = 64 << 20;

/// All of them, of the trials that are timed; none where there is none.
#[must_use]
pub fn all(trials: &[TrialRecord]) -> Vec<Check> {
    let measured: Vec<Measured<'_>> = trials.iter().filter_map(Measured::of).collect();
    if measured.is_empty() {
        return Vec::new();
    }
    let mut checks = vec![lost(&measured), same_pages(&measured)];
    checks.extend(unmapped(&measured));
    checks.extend(lazily(&measured));
    checks.extend(back(&measured));
    checks.extend(together::spared(&measured));
    checks.extend(together::overflows(&measured));
    checks.extend(together::in_flight(&measured));
    checks.extend(together::held(&measured));
    checks.extend(together::in_kernel(&measured));
    checks.extend([exits(&measured), witnesses(&measured), clocks(&measured)]);
    let found: Vec<_> = measured.iter().map(|m| (m.trial, m.choices, m.found)).collect();
    checks.extend(told::all(&found));
    checks.extend(idle(&measured));
    checks.push(memory(&measured));
    checks
}

fn lost(measured: &[Measured<'_>]) -> Check {
    let proof = |m: &Measured<'_>| m.found.proof;
    let faults: Vec<String> = measured
        .iter()
        .filter(|m| proof(m).lost > 0)
        .map(|m| format!("trial {} lost {} pages that were never reported", m.trial, proof(m).lost))
        .collect();
    let proofs = total(measured.iter().map(|m| proof(m).proofs));
    let what = "by the kernel's view, no page is gone that was not reported";
    none_of(what, Standing::Fails, &faults, proofs, format!("looked {proofs} times"))
}

fn same_pages(measured: &[Measured<'_>]) -> Check {
    let mut faults = Vec::new();
    let mut blocks: BTreeMap<_, Digests<'_>> = BTreeMap::new();
    for m in measured {
        if m.found.reported_digest != m.found.taken_digest {
            faults.push(format!("in trial {} the host took other pages than the guest reported", m.trial));
        }
        if m.choices.names_pages() && m.found.ranges > 0 {
            let Choices { workload, order, batch, in_flight, arena_pages, warmup, reports, .. } = m.choices;
            // What reports several at once reports more for its proofs, and of some pages the host never hears.
            let gathers = m.choices.gathers().then_some(m.choices.way.carrier);
            let company = m.choices.company();
            let script = (workload, order, batch, in_flight, arena_pages, warmup, reports, gathers, company);
            blocks.entry((m.block, script)).or_default().add(m);
        }
    }
    for ((block, _), Digests { digests, .. }) in &blocks {
        if digests.len() > 1 {
            faults.push(format!("block {block} has {} different sets of pages", digests.len()));
        }
    }
    let compared = blocks.values().filter(|block| block.cells.len() > 1).count();
    // A single transport is the same as no other: of it there is only what both sides say.
    let (what, examined) = match compared {
        0 => ("the host took the pages the guest reported", blocks.len()),
        _ => ("every transport reported and took exactly the same pages", compared),
    };
    let looked_at = format!("{examined} block{}, by fingerprint", plural(examined));
    none_of(what, Standing::Fails, &faults, examined as u64, looked_at)
}

/// Who reported in a block, and the fingerprints of what was reported.
#[derive(Default)]
struct Digests<'a> {
    cells: BTreeSet<Choices>,
    digests: BTreeSet<&'a str>,
}

impl<'a> Digests<'a> {
    fn add(&mut self, m: &Measured<'a>) {
        self.cells.insert(m.choices);
        self.digests.insert(&m.found.reported_digest);
    }
}

/// What the kernel said of each cell whose reports name pages.
fn proofs(measured: &[Measured<'_>]) -> BTreeMap<Choices, ProofCounts> {
    let mut cells: BTreeMap<Choices, ProofCounts> = BTreeMap::new();
    for m in measured.iter().filter(|m| m.choices.names_pages() && m.found.proof.reported > 0) {
        let sum = cells.entry(m.choices).or_default();
        *sum = sum.plus(m.found.proof);
    }
    cells
}

/// Unmapped is what the page table says, not what was asked for.
fn unmapped(measured: &[Measured<'_>]) -> Option<Check> {
    let (mut faults, mut worst) = (Vec::new(), Standing::Doubtful);
    let cells = proofs(measured);
    for (choices, proof) in &cells {
        let title = choices.title();
        let ProofCounts { reported, resident_before, unmapped, .. } = proof;
        let (way, order) = (Way::from(choices.way), choices.block());
        match (way.frees(order), way.why_nothing(order)) {
            (Freed::Nothing, None) if *unmapped > 0 => {
                faults.push(format!("{title} unmapped {unmapped} pages although nothing was discarded"));
            }
            (Freed::Nothing, None) | (Freed::AsItLikes, _) => {}
            // As was to be expected, and to be said: it is cheap for that reason.
            (Freed::Nothing, Some(why)) => {
                faults.push(format!("{title} freed {unmapped} of {reported} pages: {why}"));
            }
            (Freed::All, _) if *unmapped == 0 => {
                worst = Standing::Fails;
                faults.push(format!("{title} unmapped 0 of {reported} pages"));
            }
            (Freed::All, _) if unmapped < resident_before => {
                faults.push(format!("{title} unmapped {unmapped} of {resident_before} resident pages"));
            }
            (Freed::All, _) => {}
        }
    }
    let what = "discarded pages are unmapped, and only those";
    let discarding = cells.iter().filter(|(choices, _)| choices.way.discard.0 != Discard::None);
    let pages = total(discarding.map(|(_, proof)| proof.reported));
    let looked_at = format!("{pages} reported pages, by the page table");
    (pages > 0 || !faults.is_empty()).then(|| none_of(what, worst, &faults, pages, looked_at))
}

/// What is freed lazily stays where it is, and is marked: by that mark it is known that it was freed at all.
fn lazily(measured: &[Measured<'_>]) -> Option<Check> {
    let cells = proofs(measured);
    let lazy: Vec<_> = cells.iter().filter(|(choices, _)| choices.way.discard.0 == Discard::Free).collect();
    let short = |(_, proof): &&(&Choices, &ProofCounts)| {
        proof.lazy.saturating_add(proof.unmapped) < proof.resident_before
    };
    let faults: Vec<String> = lazy
        .iter()
        .filter(short)
        .map(|(choices, proof)| {
            let ProofCounts { lazy, resident_before, .. } = proof;
            format!("{}: {lazy} of {resident_before} pages", choices.title())
        })
        .collect();
    let pages = total(lazy.iter().map(|(_, proof)| proof.lazy));
    let what = "what is freed lazily is marked so by the kernel, until it takes it";
    let looked_at = format!("{pages} pages are the kernel's to take (LazyFree), and not back");
    (!lazy.is_empty()).then(|| none_of(what, Standing::Fails, &faults, pages, looked_at))
}

/// Back is what the physical witness says of them.
fn back(measured: &[Measured<'_>]) -> Option<Check> {
    let cells = proofs(measured);
    let look = |(choices, proof): (&Choices, &ProofCounts)| {
        let ProofCounts { unmapped, back, unknown, within, .. } = *proof;
        let in_part = in_part(choices.way.backing.0, choices.order);
        Look { of: choices.title(), unmapped, back, unknown, within, in_part }
    };
    let looks: Vec<Look> = cells.iter().map(look).collect();
    let mut check = all_of(&looks)?;
    let witness = by(measured.iter().map(|m| m.found.memory.witness.0));
    check.detail.push_str(&format!("; by {witness}"));
    Some(check)
}

/// Only of a rung does the design say how many there are.
fn exits(measured: &[Measured<'_>]) -> Check {
    let mut faults = Vec::new();
    let mut looked = BTreeMap::new();
    for m in measured {
        if !m.choices.times_reports() {
            let each = if m.choices.way.servicer.0 == Servicer::Kernel { 0 } else { Burst::ALL.len() as u64 };
            let (expected, found) = (m.found.reports.saturating_mul(each), m.found.counts.exits.transport());
            if found != expected {
                faults.push(format!("trial {} (stopwatch): {found} exits instead of {expected}", m.trial));
            }
            continue;
        }
        let Some(rung) = m.choices.rung().map(Named) else { continue };
        let each = rung.0.exits_a_report(m.choices.batch, m.choices.block());
        // What gathers rings once for many reports: when, its guest says. What KVM had no room for exits besides.
        let rung_for = total([m.found.calls, m.found.overflows]);
        let expected = each.map_or(rung_for, |each| m.found.reports.saturating_mul(each));
        let found = m.found.counts.exits.transport();
        if found != expected {
            faults.push(format!("trial {} ({rung}): {found} exits instead of {expected}", m.trial));
        }
        let each = each.map_or_else(
            || format!("1 in {} ranges", m.found.ranges / found.max(1)),
            |each| each.to_string(),
        );
        looked.insert((rung, m.choices.batch), each);
    }
    let what = "exits a report are what the design says";
    if faults.is_empty() && looked.is_empty() {
        return check(what, Standing::Unknown, "no transport of this run is a rung's".to_owned());
    }
    let each: Vec<String> =
        looked.iter().map(|((rung, batch), exits)| format!("{rung} {exits} for {batch} ranges")).collect();
    none_of(what, Standing::Fails, &faults, looked.len() as u64, each.join(", "))
}

fn witnesses(measured: &[Measured<'_>]) -> Check {
    let what = "our exits are KVM's";
    let (mut faults, mut agreed) = (Vec::new(), BTreeMap::<&str, u64>::new());
    for m in measured {
        for row in witness::compare(m.choices.way.doorbell.0, m.choices.company(), m.found) {
            match row.agreement() {
                Agreement::Agree => {
                    let sum = agreed.entry(row.what).or_default();
                    *sum = sum.saturating_add(row.ours);
                }
                Agreement::Alone => {}
                Agreement::Differ => faults.push(format!(
                    "trial {}: {} {} by our count, {} by KVM's {}",
                    m.trial,
                    row.ours,
                    row.what,
                    row.kvm.unwrap_or_default(),
                    row.stat
                )),
            }
        }
    }
    if faults.is_empty() && agreed.is_empty() {
        return check(what, Standing::Unknown, "this KVM keeps no statistics that compare".to_owned());
    }
    let shown: Vec<String> = agreed.iter().map(|(what, count)| format!("{count} {what}")).collect();
    none_of(what, Standing::Fails, &faults, agreed.len() as u64, shown.join(", "))
}

fn clocks(measured: &[Measured<'_>]) -> Check {
    let faults: Vec<String> = measured
        .iter()
        .filter(|m| m.found.disordered > 0)
        .map(|m| {
            let (disordered, reports) = (m.found.disordered, m.found.reports);
            format!("{disordered} of {reports} reports of trial {} are out of order", m.trial)
        })
        .collect();
    let reports = total(measured.iter().map(|m| m.found.reports));
    let what = "stamps of guest and host are in order";
    none_of(what, Standing::Fails, &faults, reports, format!("{reports} reports"))
}

/// Where instructions are counted, an idle machine moves the counter on without executing any.
fn idle(measured: &[Measured<'_>]) -> Option<Check> {
    let counted = |m: &&Measured<'_>| m.found.counts.clock.unit() == Unit::Instructions;
    measured.iter().find(counted)?;
    let what = "the machine never went idle while it was measured";
    let idled =
        measured.iter().filter_map(|m| Some((m.trial, m.found.idle_ticks.filter(|ticks| *ticks > 0)?)));
    let faults: Vec<String> =
        idled.map(|(trial, ticks)| format!("{ticks} ticks of trial {trial} are no instructions")).collect();
    let silent = measured.iter().filter(|m| m.found.idle_ticks.is_none()).count();
    if faults.is_empty() && silent > 0 {
        let detail = format!(
            "of {silent} trial{} the kernel does not say: /proc/timer_list has to be there, and readable",
            plural(silent)
        );
        return Some(check(what, Standing::Unknown, detail));
    }
    let trials = measured.len() as u64;
    Some(none_of(what, Standing::Fails, &faults, trials, "every tick is an instruction".to_owned()))
}

fn memory(measured: &[Measured<'_>]) -> Check {
    let most = measured.iter().map(|m| m.found.memory_beside_ram).max().unwrap_or_default();
    let looked_at = format!("at most {:.1} MiB", float(most) / f64::from(1 << 20));
    let what = format!("memory beside guest memory stays below {} MiB", MEMORY >> 20);
    let faults = if most < MEMORY { Vec::new() } else { vec![looked_at.clone()] };
    none_of(&what, Standing::Doubtful, &faults, most, looked_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::axes::{Carrier, Completion};
    use host::timed::Stopwatch;

    use crate::figure::unit::Clock;
    use crate::testing::timed::trial;
    use crate::trial::counts::ExitCounts;
    use crate::trial::record::{Body, Ending};
    use crate::trial::timed::measured::TimedMeasured;

    /// A trial that is sound but for what is changed.
    fn changed(number: u32, change: impl FnOnce(&mut Choices, &mut TimedMeasured)) -> TrialRecord {
        let (mut record, _) = trial(number, 1000);
        if let Body::Timed { choices, ending: Ending::Measured(measured) } = &mut record.body {
            change(choices, measured);
        }
        record
    }

    fn of(trials: &[TrialRecord], what: &str) -> Check {
        all(trials).into_iter().find(|check| check.what.contains(what)).expect(what)
    }

    #[test]
    fn one_silent_trial_hides_no_ticks_of_another() {
        let idle = |number, ticks| {
            changed(number, |_, found| {
                (found.counts.clock, found.idle_ticks) = (Clock::Instructions, ticks);
            })
        };
        let check = |ticks: &[Option<u64>]| {
            of(&ticks.iter().map(|ticks| idle(0, *ticks)).collect::<Vec<_>>(), "never went idle")
        };
        assert_eq!(check(&[Some(0), Some(0)]).standing, Standing::Holds);
        let silent = check(&[None, Some(0), None]);
        assert!(silent.standing == Standing::Unknown && silent.detail.contains("of 2 trials"), "{silent:?}");
        for ticks in [[None, Some(7)], [Some(7), None]] {
            assert_eq!(check(&ticks).standing, Standing::Fails);
        }
    }

    type Change = fn(&mut Choices, &mut TimedMeasured);

    #[test]
    fn of_nothing_nothing_holds() {
        let cases: [(&str, Change); 7] = [
            ("no page is gone", |_, found| found.proof.proofs = 0),
            ("the host took the pages", |choices, _| choices.way.carrier = Named(Carrier::Empty)),
            ("the host took the pages", |_, found| found.ranges = 0),
            ("memory beside guest memory", |_, found| found.memory_beside_ram = 0),
            ("exits a report", |choices, _| choices.way.completion = Named(Completion::Poll)),
            ("our exits are KVM's", |_, found| found.counts.kvm_stats.clear()),
            ("in order", |_, found| found.reports = 0),
        ];
        for (what, change) in cases {
            assert_eq!(of(&[changed(0, |_, _| {})], what).standing, Standing::Holds, "{what}");
            assert_eq!(of(&[changed(0, change)], what).standing, Standing::Unknown, "{what}");
        }
        assert!(unmapped(&[]).is_none() && back(&[]).is_none() && idle(&[]).is_none() && all(&[]).is_empty());
    }

    #[test]
    fn pages_are_unmapped_by_trials_that_discard() {
        let discarding = |discard, unmapped| {
            changed(0, |choices, found| {
                choices.way.discard = Named(discard);
                (found.proof.unmapped, found.proof.back) = (unmapped, unmapped);
            })
        };
        let (kept, gone) = (discarding(Discard::None, 0), discarding(Discard::DontNeed, 32));
        let said = of(&[kept.clone(), gone], "discarded pages are unmapped");
        assert!(said.standing == Standing::Holds && said.detail.starts_with("32 reported"), "{said:?}");
        assert!(all(&[kept]).iter().all(|check| !check.what.contains("unmapped")));
        let said = of(&[discarding(Discard::None, 1)], "discarded pages are unmapped");
        assert_eq!(said.standing, Standing::Doubtful, "{said:?}");
    }

    #[test]
    fn a_wrong_exit_is_one_whatever_transport_it_came_over() {
        let weighing = |exits| {
            changed(0, |choices, found| {
                choices.stopwatch = Named(Stopwatch::Weighed);
                found.counts.exits = ExitCounts { hypercall: exits, ..ExitCounts::default() };
            })
        };
        let check = |exits| of(&[weighing(exits)], "exits a report").standing;
        assert_eq!(check(400 * Burst::ALL.len() as u64), Standing::Unknown, "nothing but the stopwatch");
        assert_eq!(check(1), Standing::Fails);
    }
}
