//! The physical witness: how much of guest memory the host's kernel still holds although nothing maps it.
//!
//! A page that is gone from the page table ([`super::residency`]) is *unmapped*. It is *back* only when the kernel can
//! give its frame to somebody else. The two differ: part of a transparent huge page that is discarded is unmapped at
//! once, and stays allocated until the huge page is split, which the kernel puts off until memory is short (Linux
//! `mm/huge_memory.c`, `deferred_split_folio`).
//!
//! | witness | looks at | how sharp |
//! |---|---|---|
//! | [`Kind::File`] | the blocks of the shared file that memory is | to the page; only where it is one |
//! | [`Kind::Frames`] | every frame, in `/proc/kpageflags` and `/proc/kpagecount` | to the page; root only |
//! | [`Kind::Cgroup`] | the charge of a memory cgroup of the trial's own | what processors charge ahead |
//! | [`Kind::System`] | free memory of the whole machine, in `/proc/meminfo` | what it changes by itself meanwhile |
//!
//! The first that can be had is taken, in this order. What it cannot tell is unknown: neither nothing nor everything.

mod cgroup;
mod file;
mod frames;
mod held;
mod processors;
mod splits;
mod system;

use abi::axes::Axis;

use super::drain;
use super::ram::GuestRam;
use cgroup::Cgroup;
use file::File;
use frames::Frames;
use system::System;

pub use held::{Held, WitnessError};
pub use splits::Splits;

pub(crate) use held::Verdict;

/// Which witness was asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// The file that memory is.
    File,
    /// Every frame by itself.
    Frames,
    /// A memory cgroup of the trial's own.
    Cgroup,
    /// Free memory of the whole machine.
    System,
}

impl Axis for Kind {
    const AXIS: &'static str = "witness";
    const ALL: &'static [Self] = &[Self::File, Self::Frames, Self::Cgroup, Self::System];

    fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Frames => "frames",
            Self::Cgroup => "cgroup",
            Self::System => "system",
        }
    }
}

/// Pages that the lists of a processor hold on to unless they are drained: six lists (Linux `mm/swap.c`, `cpu_fbatches`)
/// of 31 each (`include/linux/pagevec.h`, `PAGEVEC_SIZE`, the largest it has had).
const LISTED: u64 = 6 * 31;

/// Looks at guest memory as the host's kernel keeps it.
#[derive(Debug)]
pub(crate) struct Witness {
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(File),
    Frames(Box<Frames>),
    Cgroup(Cgroup),
    System(System),
}

impl Witness {
    /// The sharpest there is for this memory, none of which has been touched yet.
    pub(crate) fn new(ram: &GuestRam) -> Result<Self, WitnessError> {
        let of = |kind| Self::of(kind, ram);
        // The others see private memory only.
        if ram.shared_file().is_some() {
            return of(Kind::File);
        }
        of(Kind::Frames).or_else(|_| of(Kind::Cgroup)).or_else(|_| of(Kind::System))
    }

    /// This one, if it can be had.
    pub(crate) fn of(kind: Kind, ram: &GuestRam) -> Result<Self, WitnessError> {
        let source = match kind {
            Kind::File => Source::File(File::of(ram)?),
            Kind::Frames => Source::Frames(Box::new(Frames::of(ram)?)),
            Kind::Cgroup => Source::Cgroup(Cgroup::of(ram)?),
            Kind::System => Source::System(System::of(ram)?),
        };
        Ok(Self { source })
    }

    /// Which it is.
    pub(crate) const fn kind(&self) -> Kind {
        match self.source {
            Source::File(_) => Kind::File,
            Source::Frames(_) => Kind::Frames,
            Source::Cgroup(_) => Kind::Cgroup,
            Source::System(_) => Kind::System,
        }
    }

    /// What is held now and not mapped.
    pub(crate) fn look(&mut self) -> Result<Held, WitnessError> {
        // A kernel that cannot be asked to leaves some pages on lists of its processors.
        let drained = drain::all_processors().is_ok();
        let held = match &mut self.source {
            // It counts what is in the file, wherever else it is.
            Source::File(file) => return file.look(),
            // It sees which frames are on a list.
            Source::Frames(frames) => return frames.look(drained),
            Source::Cgroup(cgroup) => cgroup.look()?,
            Source::System(system) => system.look()?,
        };
        let listed = if drained { 0 } else { LISTED * processors::online()? };
        Ok(Held { within: held.within + listed, ..held })
    }
}

#[cfg(feature = "test-support")]
impl Witness {
    /// Limits the group to so many pages less than it has been charged for; other witnesses have no group.
    pub(crate) fn squeeze(&self, pages: u64) -> Result<(), WitnessError> {
        match &self.source {
            Source::Cgroup(cgroup) => cgroup.squeeze(pages),
            Source::File(_) | Source::Frames(_) | Source::System(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_witness_that_can_be_had_says_which_it_is() {
        let ram = GuestRam::new(4 << 20).unwrap();
        for kind in [Kind::Frames, Kind::System] {
            if let Ok(witness) = Witness::of(kind, &ram) {
                assert_eq!(witness.kind(), kind);
            }
        }
        assert!(Witness::of(Kind::System, &ram).is_ok(), "the last one needs nothing");
    }
}
