//! Hints of small pages, a range each.

use abi::addr::{ByteRange, PAGE_SIZE};
use abi::calls::{Answer, Operation, hyperv};
use abi::layout::BATCH;
use abi::step::Step;
use abi::wire::heat_hint::HEADER;
use host::memory::GuestRam;
use libtest_mimic::Failed;

use super::{Encoder, equal};
use crate::common::Checked;

/// The most pages that a hint of small pages names.
const MOST: u64 = 2048;

/// Why a range cannot be named, if it cannot.
pub(super) fn cannot_name(range: ByteRange) -> Option<&'static str> {
    match range.len / PAGE_SIZE {
        _ if !(range.len.is_multiple_of(PAGE_SIZE) && range.gpa.is_page_aligned()) => {
            Some("a hint names whole pages")
        }
        0 => Some("a hint names a page at the least"),
        1..=MOST => None,
        _ => Some("a hint has 11 bits for the number of small pages"),
    }
}

/// A hint of small pages a range.
#[derive(Default)]
pub(super) struct HeatHints {
    /// The call last made, as Hyper-V is told.
    control: u64,
}

impl Encoder for HeatHints {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let hint = |range: &ByteRange| range.gpa.0 | (range.len / PAGE_SIZE - 1);
        let words: Vec<_> = [HEADER].into_iter().chain(ranges.iter().map(hint)).collect();
        ram.write_words(BATCH, &words)?;
        let word = Operation::HeatHint { count: u16::try_from(ranges.len())? }.word();
        self.control = hyperv::control(word);
        Ok(vec![Step::Call { word, gpa: BATCH.0, pages: 1 }])
    }

    fn acknowledged(&self, _: &GuestRam, answers: &[u64], refused: u64) -> Checked {
        let answer = Answer::Done { refused: u16::try_from(refused)? };
        equal("the result", answers[0], hyperv::result(answer, self.control))
    }
}
