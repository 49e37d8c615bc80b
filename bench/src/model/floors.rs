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

/// All terms that `doctor` finds, from one guest ring.
#[must_use]
pub fn floors(environment: &Environment, ring: GuestRing) -> BTreeMap<Term, f64> {
    let of = environment.kvm.floors.iter().filter(|record| record.guest_ring.0 == ring);
    let parts = of.filter_map(|record| Some((term(record.floor.0), record.cost?)));
    doorbells(environment, ring).into_iter().chain(parts).collect()
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
pub fn floors_of(archive: &Archive) -> BTreeMap<Term, f64> {
    guest_ring(archive).map(|ring| floors(&archive.environment, ring)).unwrap_or_default()
}

/// A host as another one with its own floors. A floor whose term cannot be told apart in the profile from one that has none
/// cannot be put in its place, and stays.
#[must_use]
pub fn with_floors(profile: &Profile, floors: &BTreeMap<Term, f64>) -> Profile {
    let is_whole = |term: &Term| profile.group(*term).iter().all(|other| floors.contains_key(other));
    let set = floors.iter().filter(|(term, _)| is_whole(term));
    let set = set.map(|(term, floor)| (*term, Figure::exactly(*floor))).collect();
    profile.clone().with(&set).unwrap_or_else(|_| profile.clone())
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

/// Predicts the cells of a host by its floors and another's terms. `own` is the host's own fit, which says which term is
/// missing where the prediction is off.
#[must_use]
pub fn transfer(from: &Profile, own: &Profile, floors: &BTreeMap<Term, f64>, cells: &[Cell]) -> Transfer {
    let like = with_floors(from, floors);
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
