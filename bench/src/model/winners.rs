//! Who wins, over what an exit costs and what a discard costs.

use std::collections::BTreeMap;

use super::cost::{Blocks, Counts};
use super::even::{Contest, Verdict};
use super::predict::names;
use super::profile::{Figure, Profile};
use super::scale::Scale;
use super::term::Term;
use crate::axes::rung::Rung;
use crate::figure::chart::{Body, Chart};
use crate::figure::map::{Axis, Map, Place};

/// Cells of the map each way.
const CELLS: usize = 72;
/// What the axes hold at the least, in nanoseconds.
const EXITS: [f64; 2] = [1e2, 1e5];
const DISCARDS: [f64; 2] = [1e2, 1e6];

/// What a place of the map can be, in the order of its colours.
const KINDS: [&str; 4] = [
    "a call a range is the cheapest",
    "one call a batch is the cheapest",
    "virtio is the cheapest",
    "transport does not matter (below 5 %)",
];

/// The map by a host, with others on it as points.
///
/// # Errors
/// The terms that the host's profile does not know, by their names.
pub fn map(profile: &Profile, hosts: &[Profile], batch: u16, blocks: Blocks) -> Result<Map, String> {
    if profile.unit != Scale::Ns {
        return Err(format!("a time: its figures are {}", profile.unit.name()));
    }
    if let Verdict::Unknown { terms } = at(profile, batch, blocks, 1e3, 1e3)? {
        return Err(names(&terms));
    }
    let places: Vec<Place> = hosts.iter().map(|host| place(host, blocks)).collect();
    let axis = |title: &str, least: [f64; 2], of: fn(&Place) -> Option<f64>| {
        Axis::over(title, least, places.iter().filter_map(of))
    };
    let x = axis("an exit to user space and back", EXITS, |place| place.x);
    let y = axis("discarding a range", DISCARDS, |place| place.y);
    let mut kinds = Vec::with_capacity(CELLS * CELLS);
    for row in 0..CELLS {
        for column in 0..CELLS {
            kinds.push(kind(&at(profile, batch, blocks, x.middle(column, CELLS), y.middle(row, CELLS))?));
        }
    }
    Ok(Map { x, y, kinds: KINDS.map(str::to_owned).to_vec(), columns: CELLS, cells: kinds, places })
}

/// The same as a picture.
///
/// # Errors
/// As [`map`].
pub fn chart(profile: &Profile, hosts: &[Profile], batch: u16, blocks: Blocks) -> Result<Chart, String> {
    let map = map(profile, hosts, batch, blocks)?;
    Ok(Chart {
        id: "who-wins".to_owned(),
        title: format!("MODEL: who wins, by exit and discard: {batch} ranges a report, {}", blocks.title()),
        reading: format!(
            "Everything but exit and discard as {} has it, its kick growing with the exit; both axes by powers of ten. Beside a host's \
             name stand its exit and its discard.",
            profile.name
        ),
        caveats: vec![
            "A model: nothing of it was measured but the points. A host at an edge is one of which the other cost is not known; \
             cycles of hosts whose frequency nobody states are taken at 3 GHz."
                .to_owned(),
        ],
        body: Body::Map(map),
    })
}

/// What is said of the host with another exit and another discard. A kick is an exit that KVM answers, and grows with it
/// where it is known apart.
fn at(profile: &Profile, batch: u16, blocks: Blocks, exit: f64, discard: f64) -> Result<Verdict, String> {
    let mut set = BTreeMap::from([(Term::Exit, Figure::exactly(exit))]);
    if let (Some(own), Some(kick)) = (profile.figure(Term::Exit), profile.figure(Term::Kick))
        && own.value > 0.0
        && profile.is_apart(Term::Kick)
    {
        set.insert(Term::Kick, Figure::exactly(kick.value * exit / own.value));
    }
    set.insert(Term::Madvise, Figure::exactly(discard));
    set.insert(Term::DiscardPage, Figure::exactly(0.0));
    set.insert(Term::DiscardHuge, Figure::exactly(0.0));
    let profile = Profile { error: None, ..profile.clone() }.with(&set).map_err(|error| error.to_string())?;
    // Its terms as they are: the map is of figures, and bands would leave nothing of it.
    let profile = profile.without_ends();
    Ok(Contest::of(&profile, batch, blocks).verdict)
}

fn kind(verdict: &Verdict) -> Option<usize> {
    match verdict {
        Verdict::Wins { rung, .. } => match rung.0 {
            Rung::HypercallEach => Some(0),
            Rung::HypercallBatch => Some(1),
            _ => Some(2),
        },
        Verdict::DoesNotMatter { .. } => Some(3),
        Verdict::CannotSay | Verdict::Unknown { .. } => None,
    }
}

/// What cycles are taken for on the map, in MHz, where their frequency is not known; the key says so.
const SUPPOSED_MHZ: f64 = 3000.0;

/// Where a host lies, as far as its profile says.
fn place(host: &Profile, blocks: Blocks) -> Place {
    let is_supposed = host.unit == Scale::Cycles;
    let frequency_mhz = if is_supposed { Some(SUPPOSED_MHZ) } else { host.frequency_mhz };
    let host = Profile { frequency_mhz, ..host.clone() }.in_time();
    let is_time = host.unit == Scale::Ns;
    let discard = host.cost(&Counts::from([(Term::Madvise, 1.0), (Term::DiscardPage, blocks.pages())]));
    let on = |figure: f64| (is_time && figure > 0.0).then_some(figure);
    Place {
        name: host.name.clone(),
        x: host.figure(Term::Exit).and_then(|figure| on(figure.value)),
        y: if discard.is_whole() { on(discard.value) } else { None },
        remark: match (is_time, is_supposed) {
            (false, _) => format!("in {}", host.unit.name()),
            (true, true) => "at 3 GHz".to_owned(),
            (true, false) => String::new(),
        },
    }
}
