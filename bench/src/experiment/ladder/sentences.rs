//! The answer in plain words. Every sentence is computed, and none says more than its interval does.

use abi::axes::Axis;
use host::axes::{Discard, Doorbell};

use super::cell::CellSummary;
use super::compared::{Against, Compared};
use super::found::Found;
use super::undisturbed;
use super::waterfall::{Fall, Waterfall};
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::interval::{MARGIN, Verdict};
use crate::figure::number::{amount, part, plain as show};
use crate::figure::power::Said;
use crate::figure::unit::{Unit, percent};

/// The answer of a run. Empty if the run has nothing to compare.
#[must_use]
pub fn all(found: &Found) -> Vec<String> {
    let mut sentences: Vec<String> = leaving_the_kernel(found).into_iter().collect();
    for waterfall in &found.waterfalls {
        sentences.extend(about(found, waterfall));
    }
    for discard in found.discards() {
        sentences.extend(cheapest(found, discard));
    }
    sentences.extend(transport(found));
    sentences.extend(undisturbed::sentence(found.unit, &found.undisturbed));
    if !sentences.is_empty() {
        sentences.insert(0, stopwatch(found));
    }
    sentences
}

/// What our own stamps cost, which no figure below has in it; or that all have.
fn stopwatch(found: &Found) -> String {
    let Some(weight) = found.stopwatch.last() else {
        return "What the stopwatch costs was not weighed: every figure has it in, once a call.".to_owned();
    };
    let unit = found.unit;
    let mut costs = format!(
        "The stopwatch costs {} a call ({} where a report takes many)",
        amount(unit, &weight.once),
        amount(unit, &weight.each)
    );
    if let Some(registers) = &weight.registers {
        costs.push_str(&format!(", fetching a call's registers {}", amount(unit, registers)));
    }
    format!("{costs}, on {} of {}; both are taken off, block by block.", weight.rung, unit.show(weight.bare))
}

/// What it costs a call to leave the kernel; nothing is said of it where the floor calls with another instruction.
/// Neither rung names pages, so that its discard changes nothing: the first that ran will do.
fn leaving_the_kernel(found: &Found) -> Option<String> {
    let discard = *found.discards().first()?;
    let inside = found.cell(Rung::InKernel, discard)?;
    let outside = found.cell(Rung::Floor, discard)?;
    if outside.choices.way.doorbell.0 != Doorbell::Hypercall {
        return None;
    }
    let more = outside.step?.per_range;
    let unit = found.unit;
    let difference = if more.shows_difference() {
        format!("leaving the kernel costs a call {}", show(unit, &more))
    } else {
        format!("whether leaving the kernel costs more cannot be said: {}", show(unit, &more))
    };
    Some(format!(
        "An empty call takes {} if KVM answers it itself ({}) and {} if user space does ({}; medians of {} and {} reports); {difference}.",
        unit.show(inside.a_report().p50),
        inside.label(),
        unit.show(outside.a_report().p50),
        outside.label(),
        inside.reports,
        outside.reports
    ))
}

/// What is done with the pages, at the beginning of a sentence.
pub(super) fn action(discard: Discard) -> &'static str {
    match discard {
        Discard::None => "Transport alone",
        Discard::DontNeed => "With MADV_DONTNEED",
        Discard::Free => "With MADV_FREE",
        Discard::Remove => "With MADV_REMOVE",
        Discard::PunchHole => "With a hole punched",
        Discard::PageOut => "With MADV_PAGEOUT",
        Discard::Remap => "With MAP_FIXED",
        Discard::Vectored => "With one process_madvise a report",
        Discard::Deferred => "With discards put off",
    }
}

fn about(found: &Found, waterfall: &Waterfall) -> Vec<String> {
    let discard = waterfall.discard.0;
    let [Some(start), Some(end)] = [waterfall.from, waterfall.to].map(|rung| found.cell(rung.0, discard))
    else {
        return Vec::new();
    };
    let mut sentences = vec![whole(found, waterfall, start, end), steps(found, waterfall)];
    sentences.extend(coalescing(found.unit, waterfall));
    sentences
}

fn whole(found: &Found, waterfall: &Waterfall, start: &CellSummary, end: &CellSummary) -> String {
    let unit = found.unit;
    let Waterfall { from, to, whole, discard, .. } = waterfall;
    let (a, b) = (start.a_range().p50, end.a_range().p50);
    let medians = format!(
        "a range costs {} by {from} and {} by {to} (medians of {} and {} reports)",
        unit.show(a),
        unit.show(b),
        start.reports,
        end.reports
    );
    let said = found.comparison(Against::OtherEnd, to.0, discard.0).map(|compared| compared.said);
    let could_see = said.and_then(|said| could_see(unit, &said)).unwrap_or_default();
    let difference = if said.is_some_and(|said| said.verdict == Verdict::Equal) {
        format!("they are equal within {}: {}", percent(MARGIN), show(unit, whole))
    } else if !whole.shows_difference() {
        let needed = said.map_or_else(String::new, |said| needed(&said));
        format!("which is cheaper cannot be said: {}{needed}", show(unit, whole))
    } else if whole.middle < 0.0 {
        format!("{to} is cheaper: {}", show(unit, whole))
    } else {
        format!("{to} is dearer: {}", show(unit, whole))
    };
    format!("{}, {medians}; {difference}{could_see}.", action(discard.0))
}

/// In parentheses, of what is not shown to differ: that it is equal, or how many blocks it would take.
fn needed(said: &Said) -> String {
    match (said.verdict, said.blocks_needed) {
        (Verdict::CannotSay, Some(blocks)) => format!(" ({blocks} blocks would be needed)"),
        (Verdict::CannotSay, None) if said.least_effect.is_some() => {
            " (no number of blocks that a plan takes would do)".to_owned()
        }
        (Verdict::Equal, _) => format!(" (equal within {})", percent(MARGIN)),
        _ => String::new(),
    }
}

/// The smallest difference that these blocks could have shown.
fn could_see(unit: Unit, said: &Said) -> Option<String> {
    let (least, share) = (said.least_effect?, said.least_share?);
    Some(format!(
        "; the smallest difference that this run could have seen is {} ({})",
        unit.show(least),
        percent(share)
    ))
}

fn steps(found: &Found, waterfall: &Waterfall) -> String {
    let unit = found.unit;
    let parts: Vec<String> = waterfall
        .steps
        .iter()
        .map(|step| {
            let figures = show(unit, &step.per_range);
            if step.per_range.shows_difference() {
                format!("{} {figures}{}", step.cause, place(unit, step))
            } else {
                match step.per_range.verdict(step.before) {
                    Verdict::Equal => format!("{}: equal within {} ({figures})", step.cause, percent(MARGIN)),
                    _ => {
                        let said = found.comparison(Against::Before, step.to.0, waterfall.discard.0);
                        let needed = said.map_or_else(String::new, |compared| needed(&compared.said));
                        format!("{}: cannot say ({figures}){needed}", step.cause)
                    }
                }
            }
        })
        .collect();
    format!("Step by step, a range: {}.", parts.join("; "))
}

/// Where in a report most of a step lies.
fn place(unit: Unit, step: &Fall) -> String {
    step.mostly.map_or_else(String::new, |place| {
        format!(" (the median of phase {} changes by {})", place.phase, unit.show_change(place.change))
    })
}

/// Whether coalescing exits is what matters: the guess of 2019.
fn coalescing(unit: Unit, waterfall: &Waterfall) -> Option<String> {
    let excess = waterfall.coalescing_over_rest.as_ref()?;
    let rest = waterfall.beyond_batching.as_ref()?;
    let batch = waterfall.steps.iter().find(|step| step.to == Named(Rung::HypercallBatch))?;
    let equals = match rest {
        rest if !rest.shows_difference() => "which is dearer cannot be said",
        rest if rest.middle > 0.0 => "virtio is dearer",
        _ => "virtio is cheaper",
    };
    let compared = format!(
        "between one call a batch and virtio, which coalesce alike, {equals} ({} a range)",
        show(unit, rest)
    );
    let answer = if !excess.shows_difference() {
        "which of the two is larger cannot be said"
    } else if excess.middle > 0.0 {
        "coalescing exits matters more than everything else about virtio together"
    } else {
        "everything else about virtio together matters more than coalescing exits"
    };
    Some(format!(
        "{}: {compared}; {answer} ({} against {}; by {}).",
        action(waterfall.discard.0),
        unit.show_change(batch.per_range.middle),
        unit.show_change(rest.middle),
        show(unit, excess)
    ))
}

/// The comparisons with the rung of the lowest median in which the other is not shown to be dearer, and that rung.
fn not_dearer(found: &Found, discard: Discard) -> Option<(&CellSummary, Vec<&Compared>)> {
    let others = || {
        let is_one = move |compared: &&Compared| {
            compared.against == Against::Cheapest && compared.discard.0 == discard
        };
        found.compared.iter().filter(is_one)
    };
    let best = found.cell(others().next()?.from.0, discard)?;
    let not_dearer =
        others().filter(|other| !other.per_range.shows_difference() || other.per_range.middle < 0.0);
    Some((best, not_dearer.collect()))
}

/// The rung with the lowest median, and the others of which it is not shown that they are dearer.
pub(super) fn lowest(found: &Found, discard: Discard) -> Option<(&CellSummary, Vec<&'static str>)> {
    let (best, not_dearer) = not_dearer(found, discard)?;
    Some((best, not_dearer.into_iter().map(|other| other.to.0.name()).collect()))
}

/// The cheapest rung, as far as the runner-up lets us say.
pub(super) fn cheapest(found: &Found, discard: Discard) -> Option<String> {
    let (best, not_dearer) = not_dearer(found, discard)?;
    let not_shown_dearer: Vec<String> =
        not_dearer.into_iter().map(|other| other.to.to_string() + &needed(&other.said)).collect();
    let median = found.unit.show(best.a_range().p50);
    let claim = if not_shown_dearer.is_empty() {
        format!(
            "{} is the cheapest ({median} a range, median), and every other rung is shown to be dearer",
            best.label()
        )
    } else {
        format!(
            "{} has the lowest median ({median} a range); not shown to be dearer: {}",
            best.label(),
            not_shown_dearer.join(", ")
        )
    };
    Some(format!("{}: {claim}.", action(discard)))
}

/// How much of the whole is transport at all, and what a dearer discard is put down to.
fn transport(found: &Found) -> Vec<String> {
    let shares = found.apart.iter().filter_map(|apart| {
        if ![Rung::HypercallEach, Rung::HypercallBatch, Rung::VirtioPolled, Rung::Virtio]
            .contains(&apart.rung.0)
        {
            return None;
        }
        Some(format!("{} for {}", part(&apart.share), apart.rung))
    });
    let shares: Vec<String> = shares.collect();
    let Some(first) = found.apart.first() else { return Vec::new() };
    let refault = found.cell(first.rung.0, first.discard.0).map_or(0.0, |cell| cell.refault_per_page);
    let mut sentences = Vec::new();
    if !shares.is_empty() {
        sentences.push(format!(
            "Of a report with its discard and of bringing the pages back later ({} a page, median), what {} does not pay to discard the same pages is {}.",
            found.unit.show(refault),
            first.cheapest,
            shares.join(", ")
        ));
    }
    let dearer: Vec<String> = found
        .apart
        .iter()
        .filter_map(|apart| {
            let put_down_to = apart.attribution(found.unit)?;
            let figures = show(found.unit, &apart.dearer_discard?);
            Some(format!("{} by {figures} ({put_down_to})", apart.rung))
        })
        .collect();
    if !dearer.is_empty() {
        sentences.push(format!("Discarding the same pages is dearer a report for {}.", dearer.join(", ")));
    }
    sentences
}
