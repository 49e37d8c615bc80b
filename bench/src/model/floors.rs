//! What `doctor` finds of a host alone, as terms; and what a host would show that is known by its floors and, in everything
//! else, as another.

use std::collections::BTreeMap;

use abi::axes::Axis;
use host::axes::{Doorbell, GuestRing};
use host::probe::Floor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cost::Counts;
use super::observed::Cell;
use super::profile::{Figure, Profile};
use super::scale::Scale;
use super::term::Term;
use crate::archive::Archive;
use crate::axes::named::Named;
use crate::axes::rung::{CallBy, Rung};
use crate::figure::interval::median;
use crate::figure::unit::ratio;
use crate::site::environment::Environment;
use crate::trial::kind::Timed;

/// From here on a prediction is off, and its report says why.
pub const OFF: f64 = 0.30;

/// The terms that doorbells of `doctor` are, from one guest ring. Fits ask these where cells do not tell theirs apart.
#[must_use]
pub fn doorbells(environment: &Environment, ring: GuestRing) -> BTreeMap<Term, f64> {
    let call = match environment.call() {
        CallBy::Hypercall => Doorbell::Hypercall,
        CallBy::Port => Doorbell::Port,
    };
    let terms = [
        (Term::InKernel, Doorbell::HypercallKernel),
        (Term::Exit, call),
        (Term::Notify, Doorbell::Mmio),
        (Term::Kick, Doorbell::IoeventfdMmio),
    ];
    let round_trip = |doorbell| {
        let tried = environment.kvm.doorbells.iter();
        let mut tried = tried.filter(|tried| tried.doorbell.0 == doorbell && tried.guest_ring.0 == ring);
        tried.find_map(|tried| tried.round_trip)
    };
    terms.into_iter().filter_map(|(term, doorbell)| Some((term, round_trip(doorbell)?))).collect()
}

/// What `doctor` finds of a host, from one guest ring.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Floors {
    /// Terms that were measured by themselves.
    pub terms: BTreeMap<Term, Figure>,
    /// What an instruction of the guest costs, if its loop came up.
    pub instruction: Option<f64>,
}

/// All that `doctor` finds, from one guest ring.
#[must_use]
pub fn floors(environment: &Environment, ring: GuestRing) -> Floors {
    let of = environment.kvm.floors.iter().filter(|record| record.guest_ring.0 == ring);
    let parts = of.filter_map(|record| {
        let value = record.cost?;
        let [low, high] = record.ends.unwrap_or([value; 2]);
        Some((term(record.floor.0), Figure { value, low: low.min(value), high: high.max(value) }))
    });
    let doorbells = doorbells(environment, ring).into_iter();
    Floors {
        terms: doorbells.map(|(term, cost)| (term, Figure::exactly(cost))).chain(parts).collect(),
        instruction: environment.kvm.instruction[usize::from(ring == GuestRing::Three)],
    }
}

/// Instructions of the guest alone in what carries ranges, as the lab counts them before the doorbell and after the answer
/// (`prepare` and `wait` of results/reference/lab-6.1, 32 ranges; 9 and 20 of each range store it).
const GUEST: [(Term, f64); 5] = [
    (Term::Page, 2.0),
    (Term::Ring, 34.0),
    (Term::RangeInRegisters, 26.0),
    (Term::RangeInPage, 9.0),
    (Term::Descriptor, 20.0),
];

/// The same host with guests whose instructions cost so much more.
fn with_guest(mut profile: Profile, more: f64) -> Profile {
    let own = |term: Term| GUEST.iter().find(|(of, _)| *of == term).map_or(0.0, |(_, count)| *count);
    let all = |holder: Term, profile: &Profile| {
        let inside = Term::ALL.iter().filter_map(|term| {
            let each = profile.inside(*term)?.get(&Named(holder))?;
            Some(each * own(*term))
        });
        own(holder) + inside.sum::<f64>()
    };
    for term in Term::ALL {
        let Some(Figure { value, low, high }) = profile.figure(*term) else { continue };
        let by = all(*term, &profile) * more;
        let figure = Figure { value: value + by, low: low + by, high: high + by };
        profile.terms.insert(Named(*term), figure.into());
    }
    profile
}

const fn term(floor: Floor) -> Term {
    match floor {
        Floor::WakeUp => Term::WakeUp,
        Floor::Interrupt => Term::Interrupt,
        Floor::Sleep => Term::Sleep,
        Floor::Madvise => Term::Madvise,
        Floor::DiscardPage => Term::DiscardPage,
        Floor::DiscardHuge => Term::DiscardHuge,
        Floor::RefaultPage => Term::RefaultPage,
        Floor::RefaultHuge => Term::RefaultHuge,
    }
}

/// The mode that the guest of a run ran in.
#[must_use]
pub fn guest_ring(archive: &Archive) -> Option<GuestRing> {
    let groups = archive.groups::<Timed>();
    let rings = groups.iter().flat_map(|group| group.measured().map(|measured| measured.counts.guest_ring));
    rings.max().map(|ring| ring.0)
}

/// The doorbells' terms of a run, from that mode.
#[must_use]
pub fn doorbells_of(archive: &Archive) -> BTreeMap<Term, f64> {
    guest_ring(archive).map(|ring| doorbells(&archive.environment, ring)).unwrap_or_default()
}

/// The same of all floors.
#[must_use]
pub fn floors_of(archive: &Archive) -> Floors {
    guest_ring(archive).map(|ring| floors(&archive.environment, ring)).unwrap_or_default()
}

/// A host as another one with its own floors: with the terms that were measured, and with guests as slow as its own where
/// `guest` says what an instruction of theirs costs on the other. A floor whose term cannot be told apart in the profile from
/// one that has none cannot be put in its place, and stays.
#[must_use]
pub fn with_floors(profile: &Profile, floors: &Floors, guest: Option<f64>) -> Profile {
    let is_whole = |term: &Term| profile.group(*term).iter().all(|other| floors.terms.contains_key(other));
    let set = floors.terms.iter().filter(|(term, _)| is_whole(term));
    let set = set.map(|(term, figure)| (*term, *figure)).collect();
    let like = profile.clone().with(&set).unwrap_or_else(|_| profile.clone());
    // Counted, an instruction is one on every host.
    let guest = guest.filter(|_| profile.unit == Scale::Ns);
    let more = guest.zip(floors.instruction).map(|(from, to)| to - from);
    more.map_or(like.clone(), |more| with_guest(like, more))
}

/// How a host that is known by its floors compares with what it showed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Transfer {
    /// The host whose other terms were taken.
    pub from: String,
    /// The host that was predicted.
    pub to: String,
    /// By what share the middle cell was off.
    pub median: f64,
    /// Every cell.
    pub cells: Vec<Off>,
}

/// A cell of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Off {
    /// Its transport.
    pub rung: Named<Rung>,
    /// Whether pages were discarded.
    pub discarded: bool,
    /// What a report cost.
    pub measured: f64,
    /// What was predicted.
    pub predicted: f64,
    /// Where it is off by more than 30 %: the term that explains the most of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub missing: Option<Named<Term>>,
}

impl Off {
    /// By what share it is off.
    #[must_use]
    pub fn share(&self) -> f64 {
        ratio(self.predicted - self.measured, self.measured)
    }
}

/// Predicts the cells of a host by its floors and another's terms; `guest` is what an instruction of a guest costs on that
/// other. `own` is the host's own fit, which says which term is missing where the prediction is off.
#[must_use]
pub fn transfer(
    from: &Profile,
    guest: Option<f64>,
    own: &Profile,
    floors: &Floors,
    cells: &[Cell],
) -> Transfer {
    let like = with_floors(from, floors, guest);
    let cells: Vec<Off> = cells.iter().filter_map(|cell| off(&like, own, cell)).collect();
    let shares: Vec<f64> = cells.iter().map(|cell| cell.share().abs()).collect();
    Transfer { from: from.name.clone(), to: own.name.clone(), median: median(&shares), cells }
}

fn off(like: &Profile, own: &Profile, cell: &Cell) -> Option<Off> {
    let predicted = like.cost(&cell.counts);
    if !predicted.is_whole() {
        return None;
    }
    let mut off = Off {
        rung: cell.report.rung,
        discarded: cell.report.blocks.discarded,
        measured: cell.typical(),
        predicted: predicted.value,
        missing: None,
    };
    off.missing =
        Some(off.share()).filter(|share| share.abs() > OFF).and_then(|_| missing(like, own, &cell.counts));
    Some(off)
}

/// The term in which the two hosts differ most, over such a report.
fn missing(like: &Profile, own: &Profile, counts: &Counts) -> Option<Named<Term>> {
    let of = |profile: &Profile, term| profile.figure(term).map(|figure| figure.value);
    let gap = |term: Term| {
        let count = counts.get(&term)?;
        Some((term, (count * (of(own, term)? - of(like, term)?)).abs()))
    };
    let gaps = Term::ALL.iter().copied().filter_map(gap);
    gaps.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(term, _)| Named(term))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "name = \"a\"\nhost = \"b\"\nsource = \"c\"\nunit = \"ns\"\n[terms]\nexit = { value = 1000.0 }\n\
        page = { value = 100.0 }\nrange-in-page = { in = { page = 32.0 } }\nmadvise = { value = 300.0 }\n\
        discard-page = { in = { madvise = 1.0 } }\n";

    fn like(terms: &[(Term, f64)], guest: Option<f64>) -> Profile {
        let terms = terms.iter().map(|(term, cost)| (*term, Figure::exactly(*cost))).collect();
        let floors = Floors { terms, instruction: Some(3.0) };
        with_floors(&Profile::parse(HOST, "here").unwrap(), &floors, guest)
    }

    fn value(profile: &Profile, term: Term) -> Option<f64> {
        profile.figure(term).map(|figure| figure.value)
    }

    #[test]
    fn floors_take_the_place_of_terms_where_these_can_be_told_apart() {
        let both = like(&[(Term::Exit, 2000.0), (Term::Madvise, 500.0), (Term::DiscardPage, 50.0)], None);
        let figures =
            [Term::Exit, Term::Madvise, Term::DiscardPage, Term::Page].map(|term| value(&both, term));
        assert_eq!(figures, [Some(2000.0), Some(500.0), Some(50.0), Some(100.0)]);
        let one = like(&[(Term::Madvise, 500.0), (Term::WakeUp, 9.0)], None);
        assert_eq!([value(&one, Term::Madvise), value(&one, Term::WakeUp)], [Some(300.0), Some(9.0)]);
        assert!(one.inside(Term::DiscardPage).is_some());
    }

    #[test]
    fn a_slower_guest_stores_its_ranges_more_slowly() {
        let slow = like(&[], Some(1.0));
        // Two instructions a page and nine for each of its ranges, which are in it, two nanoseconds more each.
        assert_eq!(value(&slow, Term::Page), Some(100.0 + 2.0 * (2.0 + 32.0 * 9.0)));
        assert_eq!(value(&slow, Term::Exit), Some(1000.0), "an exit is a floor of its own");
        assert_eq!(value(&like(&[], Some(3.0)), Term::Page), Some(100.0), "one that is as quick");
    }
}
