//! The log, and words that are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use abi::addr::PAGE_SIZE;
use abi::calls::STORE_PORT;
use abi::calls::{Answer, Operation};
use abi::layout::{BATCH, STORE_MMIO};
use abi::wire::log::{self, State};
use abi::wire::{page, store};

use super::input::{Input, RAM_BYTES, check_ranges, ram};
use crate::kvm::{Request, Write};
use crate::reclaim::Batch;
use crate::transport::{Log, Transport, name};

/// Any log. Exactly the pages are taken of which it says last that they are unused, and each of them once.
pub fn log(data: &[u8]) {
    let mut input = Input(data);
    let ram = ram();
    let mut transport = Log::new(Arc::clone(&ram));
    // A log more, to see that nothing is left of the one before.
    for _ in 0..2 {
        let mut entries = Vec::new();
        let count = usize::from(input.u8());
        while !input.is_empty() && entries.len() < count {
            // Frames around the end of memory, and some pages, or anything.
            let state = u64::from(input.u8() & 1) << 11;
            let entry = match input.u8() % 8 {
                0 => input.u64(),
                _ => u64::from(input.u8() % 20) << 12 | state | u64::from(input.u8() % 8),
            };
            entries.push(entry);
        }
        ram.write_words(BATCH.offset(page::ENTRIES), &entries).unwrap_or_else(|error| panic!("{error}"));
        let count = u16::try_from(entries.len()).unwrap_or(0);
        let mut batch = Batch::default();
        let request = Request { word: Operation::Log { count }.word(), gpa: BATCH.0, pages: 1 };
        transport.fetch(&request, &mut batch).unwrap_or_else(|error| panic!("{error}"));
        let mut taken: Vec<u64> =
            batch.ranges().iter().flat_map(|range| range.frames()).map(|pfn| pfn.0).collect();
        taken.sort_unstable();
        assert_eq!(taken, unused(&entries), "{entries:x?}");
        let refused = u16::try_from(batch.refused.total()).unwrap_or(u16::MAX);
        let answer = transport.complete(&batch).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(answer, Answer::Done { refused });
    }
}

/// Pages that are unused by their last word. Computed apart, page by page.
fn unused(entries: &[u64]) -> Vec<u64> {
    let mut last = BTreeMap::new();
    for entry in entries {
        let (frame, pages) = (entry >> 12, entry & 0x7ff);
        // A range that is not all memory is refused as a whole.
        if u128::from(frame) + u128::from(pages) <= u128::from(RAM_BYTES / PAGE_SIZE) {
            last.extend((frame..frame + pages).map(|frame| (frame, entry & 0x800 == 0)));
        }
    }
    last.into_iter().filter_map(|(frame, is_unused)| is_unused.then_some(frame)).collect()
}

/// Any writes, as KVM queues them.
pub fn stores(data: &[u8]) {
    let mut input = Input(data);
    let ram = ram();
    let (mut batch, mut named, mut writes) = (Batch::default(), Vec::new(), 0);
    while !input.is_empty() && writes < store::QUEUE + 1 {
        let shape = input.u8();
        let is_port = shape & 1 == 0;
        let at = if is_port { u64::from(STORE_PORT) } else { STORE_MMIO.0 };
        let at = if shape & 6 == 6 { at + u64::from(input.u8()) } else { at };
        let bytes = if shape & 24 == 24 { input.u32() } else { 4 };
        let word = if shape & 32 == 0 { u32::from(input.u16()) & 0x1ff } else { input.u32() };
        let [a, b, c, d] = word.to_le_bytes();
        let write = Write { is_port, at, bytes, data: [a, b, c, d, input.u8(), 0, 0, 0] };
        name(write.word(), &mut batch, &ram);
        named.push((u64::from(word >> 4) * PAGE_SIZE, PAGE_SIZE << (word & 15)));
        writes += 1;
    }
    check_ranges(&batch, &named);
    assert_eq!(batch.ranges().len() as u64 + batch.refused.total(), writes, "taken and refused");
}

/// Any entries and words, to whatever makes values of them.
pub(super) fn words(input: &mut Input<'_>) {
    let entry = input.u64();
    let (named, state) = log::parse(entry).unwrap_or_else(|error| panic!("{entry:#x}: {error:?}"));
    assert_eq!((named.gpa.0, named.len), (entry & !0xfff, (entry & 0x7ff) * PAGE_SIZE));
    assert_eq!(state == State::Stable, entry & 0x800 != 0);
    let word = input.u32();
    if let Ok(block) = store::block(word) {
        assert_eq!(store::word(block), word);
    }
}
