//! A host's profile from what `doctor` found of it: its floors, and for what carries ranges the path lengths that the lab
//! counted.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use abi::axes::Axis;
use host::axes::GuestRing;

use super::floors::{Floors, floors};
use super::profile::{Figure, Profile};
use super::scale::Scale;
use super::term::Term;
use crate::SCHEMA_VERSION;
use crate::axes::named::Named;
use crate::figure::unit::Unit;
use crate::site::doctor::Examination;
use crate::site::environment::Environment;

/// Instructions of what carries ranges, on both sides: `pagehint profile results/reference/lab-6.1-batch`.
const CARRIERS: [(Term, f64); 5] = [
    (Term::Page, 283.4),
    (Term::Ring, 1983.3),
    (Term::RangeInRegisters, 204.3),
    (Term::RangeInPage, 73.6),
    (Term::Descriptor, 102.8),
];
/// How many instructions of a loop in a register one of them takes, at the least, supposedly, and at the most: it loads,
/// stores and misses caches.
const LOOPS: [f64; 3] = [1.0, 2.0, 6.0];

/// A file of `doctor --json` that is none. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ExaminedError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is not what doctor found of a host: {source}; write it with `pagehint doctor --json`", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error(
        "{} is of version {found} of its format, this is pagehint of version {SCHEMA_VERSION}: write it anew with `pagehint doctor --json`",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// It has no floors.
    #[error(
        "{} has neither a wake-up nor a discard that was measured: write it anew with `pagehint doctor --json`, which says why not",
        path.display()
    )]
    NoFloors {
        /// The file.
        path: PathBuf,
    },
}

/// The profile of a host by its file of `doctor --json`.
///
/// # Errors
/// [`ExaminedError`] with file and line.
pub fn read(path: &Path) -> Result<Profile, ExaminedError> {
    let path_buf = || path.to_owned();
    let text = fs::read_to_string(path).map_err(|source| ExaminedError::Read { path: path_buf(), source })?;
    let examined: Examination =
        serde_json::from_str(&text).map_err(|source| ExaminedError::Syntax { path: path_buf(), source })?;
    let environment = examined.environment;
    if environment.schema_version != SCHEMA_VERSION {
        return Err(ExaminedError::Version { path: path_buf(), found: environment.schema_version });
    }
    let name = path.file_stem().map_or_else(|| "host".to_owned(), |name| name.to_string_lossy().into_owned());
    let profile = profile(&environment, &name);
    let is_known = |term| profile.figure(term).is_some();
    if is_known(Term::WakeUp) || is_known(Term::Madvise) {
        Ok(profile)
    } else {
        Err(ExaminedError::NoFloors { path: path_buf() })
    }
}

/// The profile of a host by its floors, from the mode in which guests run there if nobody asks for another.
#[must_use]
pub fn profile(environment: &Environment, name: &str) -> Profile {
    let kvm = &environment.kvm;
    let ring = if kvm.ring0_emulated { GuestRing::Three } else { GuestRing::Zero };
    let Floors { terms: floors, instruction } = floors(environment, ring);
    let unit = kvm.clock.unit();
    let carriers = carriers(unit, instruction);
    let mut notes = environment.notes();
    notes.push(format!("floors are those of a guest in ring {}", ring.name()));
    if unit == Unit::Nanoseconds && !carriers.is_empty() {
        notes.push(format!(
            "what carries ranges is supposed: as many instructions as the lab counted, each as long as {} to {} of a loop here",
            LOOPS[0], LOOPS[2]
        ));
    }
    let terms: BTreeMap<Term, Figure> = carriers.into_iter().chain(floors).collect();
    Profile {
        name: name.to_owned(),
        host: environment.host.clone(),
        source: format!("pagehint doctor, {}", environment.date),
        unit: Scale::from(unit),
        frequency_mhz: None,
        error: None,
        notes,
        terms: terms.into_iter().map(|(term, figure)| (Named(term), figure.into())).collect(),
    }
}

/// What carries ranges; nothing where nobody knows what an instruction costs.
fn carriers(unit: Unit, instruction: Option<f64>) -> Vec<(Term, Figure)> {
    let of = |(term, count): (Term, f64)| {
        let figure = match unit {
            Unit::Instructions => Figure::exactly(count),
            Unit::Nanoseconds => {
                let [low, value, high] = LOOPS.map(|loops| instruction.map(|each| loops * each * count));
                Figure { low: low?, value: value?, high: high? }
            }
        };
        Some((term, figure))
    };
    CARRIERS.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::json;
    use crate::model::cost::Blocks;
    use crate::model::even::{Contest, Verdict};
    use crate::site::floor::FloorRecord;
    use host::probe::Floor;

    fn examined() -> Examination {
        let mut environment = crate::testing::timed::environment();
        let floor = |(floor, cost)| FloorRecord {
            floor: Named(floor),
            guest_ring: Named(GuestRing::Zero),
            cost: Some(cost),
            ends: Some([0.9 * cost, 1.2 * cost]),
            reason: None,
        };
        environment.kvm.floors = [
            (Floor::WakeUp, 3000.0),
            (Floor::Interrupt, 2000.0),
            (Floor::Sleep, 500.0),
            (Floor::Madvise, 400.0),
            (Floor::DiscardPage, 60.0),
            (Floor::RefaultPage, 900.0),
        ]
        .map(floor)
        .to_vec();
        Examination { environment, noise: None, findings: Vec::new() }
    }

    #[test]
    fn a_doctors_file_is_a_host_of_which_the_ladder_can_be_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my-host.json");
        fs::write(&path, json::pretty(&examined())).unwrap();
        let profile = read(&path).unwrap();
        assert_eq!((profile.name.as_str(), profile.unit), ("my-host", Scale::Ns));
        let value = |term| profile.figure(term).map(|figure| figure.value);
        assert_eq!([value(Term::WakeUp), value(Term::DiscardHuge)], [Some(3000.0), None]);
        let page = profile.figure(Term::Page).unwrap();
        assert!(page.low < page.value && page.value < page.high, "{page:?}");
        let again = Profile::parse(&profile.to_toml(), "here").unwrap();
        assert!(Term::ALL.iter().all(|term| again.figure(*term) == profile.figure(*term)), "{again:?}");
        let blocks = Blocks { order: 0, discarded: true, huge: false };
        let contest = Contest::of(&profile, 32, blocks);
        // The fake host has no kick: that is what is said to be missing.
        assert!(
            matches!(&contest.verdict, Verdict::Unknown { terms } if terms.contains(&Named(Term::Kick))),
            "{contest:?}"
        );
    }

    #[test]
    fn what_is_no_doctors_file_is_refused_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        let said = |text: &str| {
            fs::write(&path, text).unwrap();
            read(&path).unwrap_err().to_string()
        };
        let whole = json::pretty(&examined());
        assert!(said("{\n}").contains("line 2") && said("{}").contains("a.json"));
        assert!(said(&whole[..whole.len() / 2]).contains("doctor --json"));
        let version = format!("\"schema_version\": {SCHEMA_VERSION}");
        assert!(said(&whole.replace(&version, "\"schema_version\": 1")).contains("version 1"));
        let bare = Examination { environment: crate::testing::timed::environment(), ..examined() };
        assert!(said(&json::pretty(&bare)).contains("neither a wake-up"));
    }
}
