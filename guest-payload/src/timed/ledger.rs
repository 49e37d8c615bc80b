//! Keeps the ledger: which pages are reported now, which ever were. See [`abi::timed::ledger`].

use abi::addr::{PageRange, Pfn};
use abi::timed::ledger::{Bit, ever_reported, reported};

use crate::metal::Metal;

/// Notes that the pages are about to be reported.
pub fn report(metal: &mut impl Metal, batch: &[PageRange]) {
    for pfn in frames(batch) {
        set(metal, reported(pfn));
        set(metal, ever_reported(pfn));
    }
}

/// Notes that the pages were taken back.
pub fn take_back(metal: &mut impl Metal, batch: &[PageRange]) {
    for pfn in frames(batch) {
        let Bit { word, mask } = reported(pfn);
        let bits = metal.load(word);
        metal.store(word, bits & !mask);
    }
}

/// Whether the page is reported now.
pub fn is_reported(metal: &impl Metal, pfn: Pfn) -> bool {
    let Bit { word, mask } = reported(pfn);
    metal.load(word) & mask != 0
}

/// Whether the page was ever reported.
pub fn was_reported(metal: &impl Metal, pfn: Pfn) -> bool {
    let Bit { word, mask } = ever_reported(pfn);
    metal.load(word) & mask != 0
}

fn set(metal: &mut impl Metal, Bit { word, mask }: Bit) {
    let bits = metal.load(word);
    metal.store(word, bits | mask);
}

fn frames(batch: &[PageRange]) -> impl Iterator<Item = Pfn> {
    batch.iter().flat_map(|range| range.frames())
}
