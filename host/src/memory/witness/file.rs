//! What a shared file in memory takes, by the file's own account: `fstat` counts its blocks, and a hole has none.

use std::fs::File as Memory;
use std::os::unix::fs::MetadataExt;

use abi::addr::PAGE_SIZE;

use super::super::ram::GuestRam;
use super::super::residency::Residency;
use super::{Held, WitnessError};

const PATH: &str = "the file that guest memory is";
/// Bytes of what `st_blocks` counts, whatever the file system's blocks are.
const BLOCK: u64 = 512;

/// Reads the size of the file.
#[derive(Debug)]
pub(super) struct File {
    file: Memory,
    residency: Residency,
}

impl File {
    pub(super) fn of(ram: &GuestRam) -> Result<Self, WitnessError> {
        let none = || WitnessError::Says { path: "guest memory".to_owned(), field: "file" };
        let file = ram.shared_file().ok_or_else(none)?.try_clone().map_err(WitnessError::read(PATH))?;
        Ok(Self { file, residency: Residency::of(ram, ram.whole())? })
    }

    pub(super) fn look(&mut self) -> Result<Held, WitnessError> {
        let blocks = self.file.metadata().map_err(WitnessError::read(PATH))?.blocks();
        let pages = blocks * BLOCK / PAGE_SIZE;
        Ok(Held { pages: pages.cast_signed() - self.residency.count()?.cast_signed(), within: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::Backing;
    use crate::memory::{Advice, advise};
    use abi::addr::{Order, PageRange, Pfn};

    #[test]
    fn a_hole_takes_nothing_and_what_is_unmapped_is_not_seen_to_be_gone() {
        let ram = GuestRam::backed(4 << 20, Backing::Memfd).unwrap();
        let mut file = File::of(&ram).unwrap();
        let block = PageRange::block(Pfn(3), Order::new(2).unwrap());
        let blocks = |file: &File| file.file.metadata().unwrap().blocks() * BLOCK / PAGE_SIZE;
        ram.whole().frames().for_each(|page| ram.write(page.gpa(), 1).unwrap());
        let all = ram.whole().pages();
        assert_eq!((blocks(&file), file.look().unwrap().pages), (all, 0));
        advise(&ram, block, Advice::DontNeed).unwrap();
        assert_eq!((blocks(&file), file.look().unwrap().pages), (all, 0));
        advise(&ram, block, Advice::Remove).unwrap();
        assert_eq!((blocks(&file), file.look().unwrap().pages), (all - 4, 0));
    }
}
