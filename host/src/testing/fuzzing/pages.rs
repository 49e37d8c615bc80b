//! Whatever a guest writes into pages that are answered in place, and into lists of frames.

#![expect(clippy::missing_panics_doc, reason = "panicking is how these functions answer")]

use std::sync::Arc;

use abi::addr::{Gpa, PAGE_SIZE};
use abi::calls::{Answer, Operation};
use abi::wire::request::{self as requests, DONTNEED};
use abi::wire::split_ring::{AVAIL_ENTRY_SIZE, DESC_SIZE, ENTRIES, IDX, USED_ENTRY_SIZE};
use abi::wire::status as statuses;
use abi::wire::virtio::balloon::{DEFLATE_QUEUE, INFLATE_QUEUE};
use abi::wire::virtio::{feature, mmio, status as device};
use vm_memory::{Bytes as _, GuestAddress};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::driver::check_untouched;
use super::input::{Input, RAM_BYTES, check_ranges, ram};
use crate::balloon::Balloon;
use crate::fault::Planted;
use crate::kvm::Request;
use crate::memory::GuestRam;
use crate::reclaim::Batch;
use crate::transport::{Fetched, RequestPage, StatusPage, Transport};

fn memory(ram: &GuestRam) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(RAM_BYTES).unwrap_or(0)];
    ram.read_bytes(Gpa(0), &mut bytes).unwrap_or_else(|error| panic!("{error}"));
    bytes
}

/// Any requests, anywhere.
pub fn request(data: &[u8]) {
    let mut input = Input(data);
    let ram = ram();
    let mut transport = RequestPage::new(Arc::clone(&ram));
    let mut batch = Batch::default();
    while !input.is_empty() {
        batch.clear();
        // Around the end of memory, or anywhere.
        let at = if input.u8() < 240 { RAM_BYTES - 64 + u64::from(input.u8() % 80) } else { input.u64() };
        for (gpa, pages) in [(at & 0xffff_ffff, 0), (at >> 32, 1)] {
            let place = Request { word: Operation::Place.word(), gpa, pages };
            assert!(matches!(transport.fetch(&place, &mut batch), Ok(Fetched::Nothing)), "no call");
        }
        let function = if input.u8() < 240 { DONTNEED } else { input.u64() };
        let [addr, length] = [input.mostly_small() << 10, input.mostly_small() << 10];
        let is_memory = ram.write_words(Gpa(at), &[function, addr, length, input.u64()]).is_ok();
        let before = memory(&ram);

        let call = Request { word: Operation::Request.word(), ..Request::default() };
        assert!(matches!(transport.fetch(&call, &mut batch), Ok(Fetched::Call)), "every call is answered");
        check_untouched(&before, &memory(&ram), &[]);
        let is_named = is_memory && function == DONTNEED;
        let named: Vec<_> = is_named.then_some((addr, length)).into_iter().collect();
        check_ranges(&batch, &named);
        assert_eq!(batch.ranges().len() as u64 + batch.refused.total(), 1, "taken or refused");
        let answer = transport.complete(&batch).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(answer == Answer::BadPage, !is_memory);
        if is_memory {
            check_untouched(&before, &memory(&ram), std::slice::from_ref(&(at..at + 16)));
            let error = requests::error(ram.read(Gpa(at)).unwrap_or_else(|error| panic!("{error}")));
            assert_eq!(error == 0, batch.refused.total() == 0);
        }
    }
}

/// Any page of entries, and any call of it.
pub fn status(data: &[u8]) {
    let mut input = Input(data);
    let ram = ram();
    let huge = input.u8().is_multiple_of(4);
    let count = if input.u8() < 240 { input.u16() % 600 } else { input.u16() };
    let word = match input.u8() {
        0..240 => Operation::Status { count, huge }.word(),
        _ => input.u32(),
    };
    let gpa = if input.u8() < 240 { u64::from(input.u8() % 18) << 12 } else { input.u64() };
    let mut entries = Vec::new();
    while !input.is_empty() && entries.len() < statuses::LENGTH {
        entries.push(if input.u8() < 200 { u64::from(input.u16() % 0x1400) << 8 } else { input.u64() });
    }
    // A page that is not memory holds nothing.
    let _ = ram.write_words(Gpa(gpa), &entries);
    let before = memory(&ram);
    let mut transport = StatusPage::new(Arc::clone(&ram));
    let mut batch = Batch::default();
    let fetched = transport.fetch(&Request { word, gpa, pages: 1 }, &mut batch);
    assert!(matches!(fetched, Ok(Fetched::Call)), "every call is answered");
    check_untouched(&before, &memory(&ram), &[]);
    let answer = transport.complete(&batch).unwrap_or_else(|error| panic!("{error}"));
    let after = memory(&ram);

    let Answer::Done { refused } = answer else {
        assert_eq!((batch.ranges().len(), batch.refused.bad_call, batch.refused.total()), (0, 1, 1));
        return check_untouched(&before, &after, &[]);
    };
    let Some(Operation::Status { count, huge }) = Operation::from_word(word) else {
        panic!("{word:#x} was done")
    };
    let end = gpa + u64::from(count) * statuses::ENTRY_SIZE;
    check_untouched(&before, &after, std::slice::from_ref(&(gpa..end)));
    let bytes = statuses::order(huge).bytes();
    let (mut named, mut bad) = (Vec::new(), 0);
    for at in (gpa..end).step_by(8) {
        let entry = ram.read(Gpa(at)).unwrap_or_else(|error| panic!("{error}"));
        let first = u128::from(entry >> 12) * u128::from(PAGE_SIZE);
        let is_memory = first + u128::from(bytes) <= u128::from(RAM_BYTES);
        assert_eq!(statuses::status(entry) == statuses::SUCCESS, is_memory, "{entry:#x}");
        named.push((entry & !0xfff, bytes));
        bad += u16::from(!is_memory);
    }
    check_ranges(&batch, &named);
    assert_eq!((refused, batch.ranges().len()), (bad, named.len() - usize::from(bad)));
}

/// Entries of the queues, and where each lies.
const SIZE: u16 = 8;
const TABLE: u64 = 0x1000;
const AVAIL: u64 = 0x1400;
const USED: u64 = 0x1800;
/// From one queue to the other.
const BETWEEN: u64 = 0x1000;

/// Any chains of any lists, given away and taken back.
pub fn frames(data: &[u8]) {
    let mut input = Input(data);
    let ram = ram();
    let interrupt = EventFd::new(EFD_NONBLOCK).unwrap_or_else(|error| panic!("no eventfd: {error}"));
    let mut balloon = Balloon::new(Arc::clone(&ram), interrupt, Planted::NONE).of_frames();
    bring_up(&mut balloon);
    let mut available = [0_u16; 2];
    let mut batch = Batch::default();
    while !input.is_empty() {
        let queue = u64::from(input.u8() & 1);
        for index in 0..=u64::from(input.u8() % 3) {
            let at = if input.u8() < 240 { 0x8000 + u64::from(input.u16() % 0x9000) } else { input.u64() };
            let len = if input.u8() < 200 { u32::from(input.u8()) } else { input.u32() };
            let flags = if input.u8() < 200 { u16::from(index == 0) } else { u16::from(input.u8() & 7) };
            let rest = u64::from(len) | u64::from(flags) << 32 | u64::from(input.u8() % 10) << 48;
            poke(
                &ram,
                TABLE + queue * BETWEEN + index * DESC_SIZE,
                &[at.to_le_bytes(), rest.to_le_bytes()].concat(),
            );
        }
        let frame = if input.u8() < 240 { u32::from(input.u8() % 24) } else { input.u32() };
        poke(&ram, 0x8000 + u64::from(input.u16() % 0x8000), &frame.to_le_bytes());
        let index = &mut available[usize::try_from(queue).unwrap_or(0)];
        let slot = u64::from(*index % SIZE);
        poke(&ram, AVAIL + queue * BETWEEN + ENTRIES + slot * AVAIL_ENTRY_SIZE, &[input.u8() % 9, 0]);
        *index = index.wrapping_add(if input.u8() < 250 { 1 } else { input.u16() });
        poke(&ram, AVAIL + queue * BETWEEN + IDX, &index.to_le_bytes());

        batch.clear();
        let before = memory(&ram);
        let used = |queue: u64| {
            let at = USED + queue * BETWEEN;
            at + IDX..at + ENTRIES + u64::from(SIZE) * USED_ENTRY_SIZE
        };
        let served = balloon.deflate(&mut batch.refused);
        check_untouched(&before, &memory(&ram), std::slice::from_ref(&used(1)));
        assert!(batch.ranges().is_empty(), "nothing is discarded of what is taken back");
        let before = memory(&ram);
        let head = balloon.inflate(&mut batch);
        check_untouched(&before, &memory(&ram), &[]);
        check_ranges(&batch, &[(0, RAM_BYTES)]);
        for range in batch.ranges() {
            let named = u32::try_from(range.start().0).unwrap_or(u32::MAX).to_le_bytes();
            assert_eq!(range.pages(), 1);
            assert!(before.windows(4).any(|bytes| bytes == named), "{range:?} was never named");
        }
        if let Ok(Some(head)) = head {
            balloon.complete(head).unwrap_or_else(|error| panic!("{error}"));
            check_untouched(&before, &memory(&ram), std::slice::from_ref(&used(0)));
        }
        if served.is_err() || head.is_err() {
            assert_ne!(balloon.status() & device::DEVICE_NEEDS_RESET, 0);
            balloon.write(mmio::STATUS, &[0; 4]);
            (available, _) = ([0; 2], bring_up(&mut balloon));
            [0, 1].into_iter().for_each(|queue| poke(&ram, AVAIL + queue * BETWEEN, &[0; 4]));
            [0, 1].into_iter().for_each(|queue| poke(&ram, USED + queue * BETWEEN, &[0; 4]));
        }
    }
}

/// Sets both queues up as a driver should.
fn bring_up(balloon: &mut Balloon) {
    const FEATURES_OK: u32 = device::ACKNOWLEDGE | device::DRIVER | device::FEATURES_OK;
    const TELL: u32 = 1 << feature::MUST_TELL_HOST.trailing_zeros();
    let mut write = |offset, value: u32| balloon.write(offset, &value.to_le_bytes());
    for (half, bits) in [(0, TELL), (1, 1)] {
        write(mmio::DRIVER_FEATURES_SEL, half);
        write(mmio::DRIVER_FEATURES, bits);
    }
    write(mmio::STATUS, FEATURES_OK);
    for (queue, at) in [(INFLATE_QUEUE, 0), (DEFLATE_QUEUE, 0x1000)] {
        write(mmio::QUEUE_SEL, queue.into());
        write(mmio::QUEUE_NUM, SIZE.into());
        for (register, part) in [
            (mmio::QUEUE_DESC_LOW, 0x1000),
            (mmio::QUEUE_DRIVER_LOW, 0x1400),
            (mmio::QUEUE_DEVICE_LOW, 0x1800),
        ] {
            write(register, part + at);
        }
        write(mmio::QUEUE_READY, 1);
    }
    write(mmio::STATUS, FEATURES_OK | device::DRIVER_OK);
}

fn poke(ram: &GuestRam, at: u64, bytes: &[u8]) {
    // Beyond the end of memory there is nothing to be written to.
    let _ = ram.memory().write_slice(bytes, GuestAddress(at));
}
