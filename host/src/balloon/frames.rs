//! The inflate and deflate queues, where the driver gives pages away by them (5.5.6): lists of frames, see
//! [`abi::wire::frames`].
//!
//! Such a balloon offers no reporting, and asks to be told before pages are used again. Inflated frames are discarded one by
//! one, as they are named. What is taken back is counted and acknowledged: the host has nothing to do for it, as in QEMU
//! and Firecracker, and keeps no account of which pages it has been given.

use abi::addr::{ByteRange, Gpa, PAGE_SIZE, Pfn};
use abi::wire::frames::{FRAME_SIZE, LIST_LENGTH, LIST_MOST};
use abi::wire::split_ring::{
    DESC_FLAGS, DESC_INDIRECT, DESC_LEN, DESC_NEXT, DESC_NEXT_INDEX, DESC_SIZE, DESC_WRITE,
};
use abi::wire::virtio::balloon::{DEFLATE_QUEUE, INFLATE_QUEUE};
use abi::wire::virtio::feature;
use virtio_queue::QueueT;

use super::{Balloon, RingError};
use crate::memory::GuestRam;
use crate::reclaim::{Batch, Refused};

const FRAME_BYTES: usize = size_of::<u32>();
const _: () = assert!(FRAME_BYTES as u64 == FRAME_SIZE);

impl Balloon {
    /// The same whose driver gives pages away by the inflate queue.
    pub(crate) fn of_frames(self) -> Self {
        // It is heard by the number of that queue, and by no other that a driver might set up.
        self.reporting.store(INFLATE_QUEUE, std::sync::atomic::Ordering::Relaxed);
        Self { offered: feature::VERSION_1 | feature::MUST_TELL_HOST, of_frames: true, ..self }
    }

    /// Takes the frames of the next chain of the inflate queue; its head, or `None` if there is none. It is completed as a
    /// report is.
    ///
    /// # Errors
    /// [`RingError`], after which the device needs a reset.
    pub(crate) fn inflate(&mut self, batch: &mut Batch) -> Result<Option<u16>, RingError> {
        let Some(head) = self.next_list(INFLATE_QUEUE)? else { return Ok(None) };
        let mut refused = Refused::default();
        self.walk_lists(INFLATE_QUEUE, head, &mut refused, |frame, ram| batch.push(frame, ram));
        batch.refused.add(&refused);
        self.in_hand = Some(head);
        Ok(Some(head))
    }

    /// Takes the next chain of the deflate queue and gives it back; how many pages it named, or `None` if there is none.
    ///
    /// # Errors
    /// [`RingError`], after which the device needs a reset.
    pub(crate) fn deflate(&mut self, refused: &mut Refused) -> Result<Option<u64>, RingError> {
        let Some(head) = self.next_list(DEFLATE_QUEUE)? else { return Ok(None) };
        let (mut pages, mut outside) = (0, 0);
        self.walk_lists(DEFLATE_QUEUE, head, refused, |frame, ram| {
            let is_memory = frame.inward().is_ok_and(|range| ram.contains(range));
            *(if is_memory { &mut pages } else { &mut outside }) += 1;
        });
        refused.outside += outside;
        self.give_back(DEFLATE_QUEUE, head)?;
        Ok(Some(pages))
    }

    fn next_list(&mut self, queue: u16) -> Result<Option<u16>, RingError> {
        if !self.is_live(queue) {
            return Ok(None);
        }
        self.next_head(queue).map_err(|error| self.broken(error))
    }

    /// Reads the lists of a chain, as much as a device takes at once, and has each frame taken that they name.
    fn walk_lists(
        &self,
        queue: u16,
        head: u16,
        refused: &mut Refused,
        mut take: impl FnMut(ByteRange, &GuestRam),
    ) {
        let queue = &self.queues[usize::from(queue)];
        let mut room = LIST_MOST;
        let mut index = head;
        for _ in 0..queue.size() {
            let at = Gpa(queue.desc_table()).offset(u64::from(index) * DESC_SIZE);
            let Ok([addr, rest]) = self.ram.read_words(at) else { break };
            let field = |offset: u64, bits: u32| rest >> (8 * (offset - DESC_LEN)) & ((1 << bits) - 1);
            let list = List { at: Gpa(addr), len: field(DESC_LEN, 32) };
            let has = |flag: u16| field(DESC_FLAGS, 16) & u64::from(flag) != 0;
            if has(DESC_INDIRECT) {
                refused.indirect += 1;
            } else if has(DESC_WRITE) || list.read(&self.ram, &mut room, &mut take).is_none() {
                refused.bad_list += 1;
            }
            if !has(DESC_NEXT) {
                return;
            }
            index = match u16::try_from(field(DESC_NEXT_INDEX, 16)) {
                Ok(next) if next < queue.size() => next,
                _ => break,
            };
        }
        // Out of the table, or as many descriptors as there are and still another: a loop.
        refused.broken_chain += 1;
    }
}

/// A buffer with a list of frames.
#[derive(Clone, Copy, Debug)]
struct List {
    at: Gpa,
    len: u64,
}

impl List {
    /// Has the frames taken, up to what there is `room` for. `None` if that is not all of a list that is one: the frames
    /// before what is wrong with it were named, and are taken.
    fn read(self, ram: &GuestRam, room: &mut u64, take: &mut impl FnMut(ByteRange, &GuestRam)) -> Option<()> {
        let frames = self.len / FRAME_SIZE;
        let mut left = frames.min(*room);
        let is_whole = self.len > 0 && self.len.is_multiple_of(FRAME_SIZE) && frames <= *room;
        *room -= left;
        let mut at = self.at;
        // Copied before they are looked at: the guest may change them at any time.
        let mut bytes = [0; LIST_LENGTH * FRAME_BYTES];
        while left > 0 {
            let count = left.min(LIST_LENGTH as u64);
            let piece = bytes.get_mut(..usize::try_from(count * FRAME_SIZE).ok()?)?;
            // A buffer at the end of the address space must not wrap to its beginning.
            at.0.checked_add(count * FRAME_SIZE)?;
            ram.read_bytes(at, piece).ok()?;
            for frame in piece.as_chunks::<FRAME_BYTES>().0 {
                let frame = Pfn(u32::from_le_bytes(*frame).into());
                take(ByteRange { gpa: frame.gpa(), len: PAGE_SIZE }, ram);
            }
            at = at.offset(count * FRAME_SIZE);
            left -= count;
        }
        is_whole.then_some(())
    }
}
