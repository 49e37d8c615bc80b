//! Whatever parses a guest's bytes, as functions of bytes: for fuzzers, and for property tests here.
//!
//! Each function takes any bytes at all, plays them to one part as a hostile guest would, and panics if an
//! invariant does not hold. The most important: no page is ever taken that the bytes do not name.

#![expect(clippy::missing_panics_doc, reason = "panicking is how these functions answer")]

use std::sync::Arc;

use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
use abi::axes::{Axis, RingFeatures};
use abi::boot::{self, BootInfo};
use abi::calls::{Answer, Operation};
use abi::control::Control;
use abi::engine::info::EngineInfo;
use abi::layout;
use abi::step::{self, Step};
use abi::timed::trace::{CallRecord, ReportRecord};
use abi::wire::page;
use abi::wire::page::BATCH_CAPACITY;
use abi::wire::virtio::mmio;

use crate::kvm::{HostTsc, Request, TscOffset};
use crate::memory::GuestRam;
use crate::reclaim::Batch;
use crate::serve::Stamp;
use crate::timed::{self, Call};
use crate::transport::{BatchPage, Fetched, Registers, Transport};

mod driver;
mod foreign;
mod gathered;
mod input;
mod pages;

use driver::{Driver, Format};
pub use foreign::foreign;
pub use gathered::{log, stores};
use input::{Input, PACKED_SIZES, RAM_BYTES, SIZES, check_ranges, lies_inside, ram};
pub use pages::{frames, request, status};

/// Any register traffic, any memory, any kicks.
pub fn balloon(data: &[u8]) {
    play(data, Format::Split, |size| 1 << (size % SIZES));
}

/// The same where packed queues are offered, and may have any size.
pub fn packed(data: &[u8]) {
    play(data, Format::Packed, |size| 1 + u16::from(size) % PACKED_SIZES);
}

/// The first byte says whether the driver knows how to begin, which options the device offers, and which of them it takes.
fn play(data: &[u8], format: Format, size: fn(u8) -> u16) {
    let mut input = Input(data);
    let first = input.u8();
    let options = |number: u8| RingFeatures::from_number((number & 7).into()).unwrap_or_default();
    let mut driver = Driver::new(format, options(first >> 1));
    if first & 1 == 0 {
        driver.bring_up(size(input.u8()), options(first >> 4));
    }
    while !input.is_empty() {
        driver.act(&mut input);
    }
    driver.check_counts();
    driver.balloon.write(mmio::STATUS, &[0; 4]);
    assert_eq!(driver.balloon.status(), 0, "a reset is a reset");
}

/// Any call, over the batch page or the registers.
pub fn calls(data: &[u8]) {
    let mut input = Input(data);
    let ram = ram();
    let paged = input.u8() & 1 == 0;
    let request = call(&mut input, paged);
    let mut entries = Vec::new();
    while !input.is_empty() && entries.len() < 511 {
        // Frames around the end of memory and lengths of some pages, or anything.
        let entry = match input.u8() % 4 {
            0 => input.u64(),
            _ => u64::from(input.u8()) << 12 | u64::from(input.u16() & 0xfff),
        };
        entries.push(entry);
    }
    // A page that is not memory holds nothing.
    let _ = ram.write_words(Gpa(request.gpa).offset(page::ENTRIES), &entries);
    let named = if paged { batch_names(&ram, &request) } else { registers_name(&request) };

    let mut transport: Box<dyn Transport> =
        if paged { Box::new(BatchPage::new(Arc::clone(&ram))) } else { Box::new(Registers::new(ram)) };
    let mut batch = Batch::default();
    let fetched = transport.fetch(&request, &mut batch);
    assert!(matches!(fetched, Ok(Fetched::Call)), "every call is answered");
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

/// A request that asks for what the transport does, or anything.
fn call(input: &mut Input<'_>, paged: bool) -> Request {
    let shape = input.u8();
    let word = match shape & 3 {
        0 => input.u32(),
        _ if paged => Operation::Batch { count: input.u16() & 0x3ff }.word(),
        _ => Operation::Range.word(),
    };
    let gpa = if shape & 4 == 0 { u64::from(input.u8()) << 12 } else { input.u64() };
    Request { word, gpa, pages: input.mostly_small() }
}

/// What a call over the batch page names; `None` if it is none.
fn batch_names(ram: &GuestRam, request: &Request) -> Option<Vec<(u64, u64)>> {
    let count = u64::from(request.word >> 16);
    let is_call =
        request.word & 0xffff == 2 && count <= BATCH_CAPACITY && request.gpa.is_multiple_of(PAGE_SIZE);
    let end = u128::from(request.gpa) + 8 + 8 * u128::from(count);
    // The page of an empty batch has to be memory too.
    if !is_call || end > u128::from(RAM_BYTES) {
        return None;
    }
    let entry = |index| ram.read(Gpa(request.gpa + 8 + 8 * index)).unwrap_or_else(|error| panic!("{error}"));
    Some((0..count).map(entry).map(|entry| (entry & !0xfff, (entry & 0xfff) * PAGE_SIZE)).collect())
}

/// What a call over the registers names; `None` if it is none.
fn registers_name(request: &Request) -> Option<Vec<(u64, u64)>> {
    (request.word == 1).then(|| vec![(request.gpa, request.pages.saturating_mul(PAGE_SIZE))])
}

/// Any stamps, of guest and host.
pub fn pairing(data: &[u8]) {
    let mut input = Input(data);
    let offset = TscOffset(input.mostly_small().cast_signed());
    // Time goes on as a rule.
    let mut now = input.mostly_small();
    let mut stamp = |input: &mut Input<'_>| {
        now = match input.u8() {
            240.. => now.wrapping_sub(input.mostly_small()),
            forward => now.wrapping_add(forward.into()),
        };
        now
    };
    let begun = stamp(&mut input);
    let mut calls = Vec::new();
    while input.0.len() > 8 && calls.len() < 64 {
        let served = !input.u8().is_multiple_of(4);
        let prepared = stamp(&mut input);
        let host = served.then(|| {
            let mut host = || HostTsc(stamp(&mut input).wrapping_add_signed(offset.0.wrapping_neg()));
            Stamp {
                picked_up: host(),
                began: host(),
                fetched: host(),
                discarded: host(),
                completed: host(),
                unrung: host().0 % 2 == 1,
            }
        });
        let [notified, acknowledged] = [stamp(&mut input), stamp(&mut input)];
        calls.push(Call { guest: CallRecord { prepared, notified, acknowledged }, host });
    }
    let ended = stamp(&mut input);
    let [calls_said, ranges, touch, retouch] = std::array::from_fn(|_| input.u64());
    let report = ReportRecord { begun, calls: calls_said, ranges, touch, retouch, ended };
    if let Some(sample) = timed::sample(&report, calls.into_iter(), offset) {
        assert_eq!(sample.total, ended - begun);
        assert!(sample.explained() <= sample.total, "{sample:?}");
        assert!(
            sample.notify.checked_add(sample.wait).is_some_and(|both| both <= sample.total),
            "{sample:?}"
        );
        assert!(sample.refault() <= sample.touch);
    }
}

/// Any words, to whatever makes values of words.
pub fn abi(data: &[u8]) {
    let mut input = Input(data);
    boot_words(&mut input);
    engine_words(&mut input);
    let step = std::array::from_fn::<_, { step::WORDS }, _>(|_| input.mostly_small());
    if let Some(step) = Step::from_words(step) {
        assert_eq!(Step::from_words(step.words()), Some(step));
    }
    let word = input.u32();
    assert_eq!(Operation::from_word(word).map_or(word, Operation::word), word);
    assert_eq!(Control::from_value(word).map_or(word, Control::value), word);
    let entry = input.u64();
    let named = page::range(entry).unwrap_or_else(|error| panic!("{entry:#x}: {error:?}"));
    assert_eq!((named.gpa.0, named.len), (entry & !0xfff, (entry & 0xfff) * PAGE_SIZE));
    for named in [named, ByteRange { gpa: Gpa(input.u64()), len: input.mostly_small() << (input.u8() % 64) }]
    {
        if let Ok(range) = named.inward() {
            assert!(lies_inside(range, named.gpa.0, named.len), "{named:?} became {range:?}");
        }
    }
    gathered::words(&mut input);
    let pages = input.u64();
    if let Ok(named) = ByteRange::of_pages(layout::ARENA, pages) {
        assert_eq!(named.len / PAGE_SIZE, pages);
    }
}

fn boot_words(input: &mut Input<'_>) {
    let mut words = std::array::from_fn::<_, { boot::WORDS }, _>(|_| input.mostly_small() % 20);
    if input.u8() & 7 != 0 {
        words[..2].copy_from_slice(&[boot::MAGIC, boot::VERSION]);
    } else {
        words.fill_with(|| input.u64());
    }
    match BootInfo::from_words(&words) {
        Ok(info) => assert_eq!(info.to_words(), words),
        Err(error) => assert_eq!(words.get(error.index), Some(&error.value)),
    }
}

fn engine_words(input: &mut Input<'_>) {
    let small = input.u8() & 7 != 0;
    let words = std::array::from_fn(|_| if small { u64::from(input.u8() % 8) } else { input.u64() });
    match EngineInfo::from_words(&words) {
        Ok(info) => assert_eq!(info.to_words(), words),
        Err(error) => assert_eq!(words.get(error.index), Some(&error.value)),
    }
}

#[cfg(test)]
mod tests {
    use abi::wire::split_ring::{DESC_NEXT, DESC_WRITE};
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A driver that knows how to begin: of any options it takes some.
    fn first() -> impl Strategy<Value = u8> {
        (0_u8..8, 0_u8..8).prop_map(|(offered, taken)| offered << 1 | taken << 4)
    }

    /// What [`super::Driver::act`] reads. Most drivers here nearly know what they do, or no chain would ever be
    /// fetched.
    fn acts() -> impl Strategy<Value = Vec<u8>> {
        let flags = prop_oneof![3 => Just(DESC_WRITE | DESC_NEXT), 2 => Just(DESC_WRITE), 1 => 0_u16..8];
        let describe = (0_u8..8, 0_u8..80, 2_u8..16, flags, 0_u8..8)
            .prop_map(|(at, addr, len, flags, next)| vec![5, at, addr, len, flags.to_le_bytes()[0], next]);
        let act = prop_oneof![
            6 => describe,
            3 => (0_u8..3).prop_map(|head| vec![6, head]),
            3 => (0_u8..8).prop_map(|completed| vec![7, completed]),
            1 => vec(any::<u8>(), 1..14),
        ];
        (first(), 0_u8..7, vec(act, 0..60))
            .prop_map(|(first, size, acts)| [vec![first, size], acts.concat()].concat())
    }

    /// The same for packed queues: lists as they should be, descriptors of anybody's turn, kicks.
    fn packed_acts() -> impl Strategy<Value = Vec<u8>> {
        let list =
            vec((0_u8..80, 2_u8..16, prop_oneof![6 => Just(2_u8), 1 => 0_u8..8]), 1..9).prop_map(|list| {
                let more = u8::try_from(list.len() - 1).unwrap();
                let names = list.into_iter().flat_map(|(addr, len, flags)| [addr, len, flags]);
                [6, more].into_iter().chain(names).collect::<Vec<u8>>()
            });
        let turn = prop_oneof![Just(0_u16), Just(1 << 7), Just(1 << 15), Just(1 << 7 | 1 << 15)];
        let describe = (0_u8..24, 0_u8..80, 2_u8..16, 0_u8..24, 0_u16..8, turn).prop_map(
            |(at, addr, len, id, flags, turn)| {
                let [low, high] = (flags | turn).to_le_bytes();
                vec![5, at, addr, len, id, low, high]
            },
        );
        let act = prop_oneof![
            6 => list,
            1 => describe,
            6 => (0_u8..8).prop_map(|completed| vec![7, completed]),
            1 => vec(any::<u8>(), 1..14),
        ];
        (first(), 0_u8..24, vec(act, 0..60))
            .prop_map(|(first, size, acts)| [vec![first, size], acts.concat()].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn no_driver_confuses_the_balloon(data in acts()) {
            super::balloon(&data);
        }

        #[test]
        fn no_noise_confuses_the_balloon(data in vec(any::<u8>(), 0..1000)) {
            super::balloon(&data);
        }

        #[test]
        fn no_driver_confuses_a_balloon_of_packed_queues(data in packed_acts()) {
            super::packed(&data);
        }

        #[test]
        fn no_noise_confuses_a_balloon_of_packed_queues(data in vec(any::<u8>(), 0..1000)) {
            super::packed(&data);
        }

        #[test]
        fn no_call_names_more_than_it_says(data in vec(any::<u8>(), 0..2000)) {
            super::calls(&data);
        }

        #[test]
        fn no_log_is_read_but_as_its_last_words(data in vec(any::<u8>(), 0..1500)) {
            super::log(&data);
        }

        #[test]
        fn no_write_names_more_than_it_says(data in vec(any::<u8>(), 0..1500)) {
            super::stores(&data);
        }

        #[test]
        fn no_request_names_more_than_it_says(data in vec(any::<u8>(), 0..400)) {
            super::request(&data);
        }

        #[test]
        fn no_page_of_statuses_names_more_than_it_says(data in vec(any::<u8>(), 0..2000)) {
            super::status(&data);
        }

        #[test]
        fn no_list_of_frames_names_more_than_it_says(data in vec(any::<u8>(), 0..400)) {
            super::frames(&data);
        }

        #[test]
        fn no_stamps_add_up_to_more_than_the_report(data in vec(any::<u8>(), 0..500)) {
            super::pairing(&data);
        }

        #[test]
        fn no_words_become_something_else(data in vec(any::<u8>(), 0..400)) {
            super::abi(&data);
        }
    }
}
