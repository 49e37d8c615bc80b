//! Calls by the conventions of other hypervisors, and pages of hints.

use std::sync::Arc;

use abi::addr::{Gpa, PAGE_SIZE};
use abi::calls::Answer;

use super::input::{Input, RAM_BYTES, check_ranges, ram};
use crate::kvm::{ForeignCall, Request};
use crate::memory::GuestRam;
use crate::reclaim::Batch;
use crate::transport::{Fetched, HeatHint, Registers, Transport};

const XEN_NUMBER: u64 = 55;
const HINT: u64 = 0x8003;
const QUERY: u64 = 0x8001;

/// Any call of Xen's or Hyper-V's, and any page of hints.
pub fn foreign(data: &[u8]) {
    let mut input = Input(data);
    if input.u8() & 1 == 0 { xen(&mut input) } else { hyperv(&mut input) }
}

fn xen(input: &mut Input<'_>) {
    let number = if input.u8() & 7 == 0 { input.u64() } else { XEN_NUMBER };
    let [word, gpa, pages] = std::array::from_fn(|_| input.mostly_small());
    let registers = [word, gpa << 12, pages, input.u64(), 0, 0];
    let (call, request) = ForeignCall::of_xen(number, registers);
    assert_eq!(call.capabilities_to(), None);
    let is_range = number == XEN_NUMBER && word == 1;
    let named = is_range.then(|| vec![(registers[1], pages.saturating_mul(PAGE_SIZE))]);
    check(&mut Registers::new(ram()), &request, named);
}

fn hyperv(input: &mut Input<'_>) {
    let control = match input.u8() & 7 {
        0 => input.u64(),
        1 => QUERY | input.mostly_small() << 32,
        _ => HINT | u64::from(input.u16() & 0x3ff) << 32,
    };
    let place = input.u8();
    let gpa = if place & 7 == 0 {
        input.u64()
    } else {
        u64::from(input.u8()) << 12 | u64::from(input.u8() & place)
    };
    let ram = ram();
    let mut words = vec![if input.u8() & 7 == 0 { input.u64() } else { 2 }];
    while !input.is_empty() && words.len() < 512 {
        words.push(match input.u8() % 4 {
            0 => input.u64(),
            // Large pages of which some are memory, and small ones around the end of memory.
            1 => u64::from(input.u8()) << 12 | u64::from(input.u16() & 0xfff),
            _ => u64::from(input.u8()) << 12 | u64::from(input.u8() & 3),
        });
    }
    // A page that is not memory holds nothing.
    let _ = ram.write_words(Gpa(gpa), &words);
    let (call, request) = ForeignCall::of_hyperv(control, [gpa, input.u64()]);
    assert_eq!(call.capabilities_to().is_some(), control == QUERY);
    let named = if control == QUERY { Some(Vec::new()) } else { hints(&ram, control, gpa) };
    check(&mut HeatHint::new(Arc::clone(&ram)), &request, named);
}

/// What a page of hints names, a large page of no such size nothing; `None` if it is none.
fn hints(ram: &GuestRam, control: u64, gpa: u64) -> Option<Vec<(u64, u64)>> {
    let (code, count) = (control & 0xffff_ffff, control >> 32);
    let length = 8 + 8 * u128::from(count);
    let in_page = gpa.is_multiple_of(8) && u128::from(gpa % PAGE_SIZE) + length <= u128::from(PAGE_SIZE);
    let in_memory = u128::from(gpa) + length <= u128::from(RAM_BYTES);
    let word = |index| ram.read(Gpa(gpa + 8 * index)).unwrap_or_else(|error| panic!("{error}"));
    if code != HINT || !in_page || !in_memory || word(0) != 2 {
        return None;
    }
    let range = |entry: u64| match (entry & 1 << 11, entry & 0x1f_f000) {
        (0, _) => (entry & !0xfff, ((entry & 0x7ff) + 1) * PAGE_SIZE),
        (_, 0) => (entry >> 21 << 21, ((entry & 0x7ff) + 1) << 21),
        _ => (0, 0),
    };
    Some((1..=count).map(word).map(range).collect())
}

fn check(transport: &mut dyn Transport, request: &Request, named: Option<Vec<(u64, u64)>>) {
    let mut batch = Batch::default();
    assert!(matches!(transport.fetch(request, &mut batch), Ok(Fetched::Call)), "every call is answered");
    let answer = transport.complete(&batch).unwrap_or_else(|error| panic!("{error}"));
    let accounted = batch.ranges().len() as u64 + batch.refused.total();
    match named {
        Some(named) => {
            check_ranges(&batch, &named);
            assert_eq!(accounted, named.len() as u64, "taken and refused");
            let refused = u16::try_from(batch.refused.total()).unwrap_or(u16::MAX);
            assert_eq!(answer, Answer::Done { refused });
        }
        None => {
            assert_eq!((batch.ranges().len(), batch.refused.bad_call, accounted), (0, 1, 1));
            assert!(!matches!(answer, Answer::Done { .. }), "{answer:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_foreign_call_names_more_than_it_says(data in vec(any::<u8>(), 0..600)) {
            super::foreign(&data);
        }
    }
}
