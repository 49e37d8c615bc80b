//! How carriers are filled that gather reports, or in which a range is a word.

use abi::addr::{ByteRange, PAGE_SIZE};
use abi::calls::{Answer, CALL_PORT, Operation};
use abi::layout::BATCH;
use abi::step::Step;
use abi::wire::page;
use host::memory::GuestRam;
use libtest_mimic::Failed;

use crate::common::Checked;
use crate::encoder::{Encoder, equal};

/// A state a range: unused.
pub(crate) struct Log;

impl Encoder for Log {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let entries: Vec<_> = ranges.iter().map(|range| range.gpa.0 | (range.len / PAGE_SIZE)).collect();
        ram.write_words(BATCH.offset(page::ENTRIES), &entries)?;
        let count = u16::try_from(ranges.len())?;
        Ok(vec![Step::Call { word: Operation::Log { count }.word(), gpa: BATCH.0, pages: 1 }])
    }

    fn acknowledged(&self, _: &GuestRam, answers: &[u64], refused: u64) -> Checked {
        equal("the answer", answers[0], Answer::Done { refused: u16::try_from(refused)? }.value())
    }
}

/// A write a range, by the doorbell of the transport. There is no answer.
pub(crate) struct Store;

impl Encoder for Store {
    fn encode(&mut self, _: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let write = |range: &ByteRange| {
            let order = (range.len / PAGE_SIZE).trailing_zeros();
            let frame = u32::try_from(range.gpa.0 / PAGE_SIZE)?;
            Ok(Step::Call { word: frame << 4 | order, gpa: 0, pages: 0 })
        };
        ranges.iter().map(write).collect()
    }

    fn acknowledged(&self, _: &GuestRam, _: &[u64], _: u64) -> Checked {
        Ok(())
    }
}

/// The same where KVM queues them, and a call about the queue.
pub(crate) struct StoreQueue;

impl Encoder for StoreQueue {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let mut steps = Store.encode(ram, ranges)?;
        steps.push(Step::Out { port: CALL_PORT, value: Operation::Kick.word() });
        Ok(steps)
    }

    fn calls(&self, _: &[Step]) -> u64 {
        1
    }

    fn acknowledged(&self, _: &GuestRam, _: &[u64], _: u64) -> Checked {
        Ok(())
    }
}

/// Whether a word can name it.
pub(crate) fn is_block(range: ByteRange) -> bool {
    let (pages, is_whole) = (range.len / PAGE_SIZE, range.len.is_multiple_of(PAGE_SIZE));
    is_whole
        && range.gpa.is_page_aligned()
        && pages.is_power_of_two()
        && pages <= 1024
        && range.gpa.0 >> 40 == 0
}
