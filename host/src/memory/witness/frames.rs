//! Frame by frame: `/proc/self/pagemap` says which frame a page has, `/proc/kpageflags` and `/proc/kpagecount` what
//! that frame is (Linux `Documentation/admin-guide/mm/pagemap.rst`). Root only.
//!
//! A huge page that is mapped in part is found through the part that is mapped: its other frames are held, whatever
//! has become of the pages they were. Frames that were mapped at the last look and are not now are looked at by
//! themselves: one that is still anonymous memory and mapped by nobody is held by a reference.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread::sleep;
use std::time::Duration;

use super::super::ram::GuestRam;
use super::super::residency::{PAGEMAP, Residency};
use super::{Held, WitnessError};

const FLAGS: &str = "/proc/kpageflags";
const COUNTS: &str = "/proc/kpagecount";

/// Bits of a frame in `/proc/kpageflags` (Linux `include/uapi/linux/kernel-page-flags.h`).
const LRU: u64 = 1 << 5;
const ANON: u64 = 1 << 12;
const COMPOUND_HEAD: u64 = 1 << 15;
const COMPOUND_TAIL: u64 = 1 << 16;
const COMPOUND: u64 = COMPOUND_HEAD | COMPOUND_TAIL;
const ZERO_PAGE: u64 = 1 << 24;

/// Frames of the largest transparent huge page, which is aligned to its size.
const HUGE: u64 = 512;
/// Bytes of a word, and of one for each of them.
const WORD: u64 = 8;
#[expect(clippy::cast_possible_truncation, reason = "4096")]
const WORDS: usize = (HUGE * WORD) as usize;

/// How often a frame that seems to be held is looked at again, first after so long and then after twice as long each
/// time: a quarter of a second in all, in which a process that ends frees what it has unmapped even if it has to wait for
/// a processor.
const LOOKS: u32 = 8;
const FIRST: Duration = Duration::from_millis(1);

/// What keeps a frame that nobody has mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hold {
    /// A list of a processor, which it gives up by itself.
    List,
    /// A reference.
    Reference,
}

/// Reads the frames of guest memory.
#[derive(Debug)]
pub(super) struct Frames {
    residency: Residency,
    kernel: Kernel,
    /// The frame of every page at this look and at the last one; 0 for none.
    now: Vec<u64>,
    before: Vec<u64>,
    /// Pages whose former frame is accounted for by a huge page.
    covered: Vec<bool>,
    /// Frames found held at the last look: their pages are not mapped, so that only this remembers them.
    left: Vec<u64>,
}

/// Frames of one huge page.
#[derive(Clone, Copy, Debug)]
struct Compound {
    head: u64,
    frames: u64,
}

impl Compound {
    fn contains(&self, frame: u64) -> bool {
        (self.head..self.head + self.frames).contains(&frame)
    }
}

impl Frames {
    /// Prepares to look at all of guest memory, if frames may be seen.
    pub(super) fn of(ram: &GuestRam) -> Result<Self, WitnessError> {
        let residency = Residency::of(ram, ram.whole())?;
        let kernel = Kernel::open()?;
        can_see_frames()?;
        let pages = residency.pages();
        Ok(Self {
            residency,
            kernel,
            now: vec![0; pages],
            before: vec![0; pages],
            covered: vec![false; pages],
            left: Vec::new(),
        })
    }

    /// What is held and not mapped, the lists of the processors having been `drained` or not.
    pub(super) fn look(&mut self, drained: bool) -> Result<Held, WitnessError> {
        std::mem::swap(&mut self.now, &mut self.before);
        for (frame, now) in self.now.iter_mut().zip(self.residency.frames()?) {
            *frame = now.unwrap_or(0);
        }
        self.kernel.forget();
        self.covered.fill(false);
        let in_part = self.of_huge_pages()?;
        let (referenced, pending) = self.left_behind(drained)?;
        Ok(Held { pages: i64::try_from(in_part + referenced).unwrap_or(i64::MAX), within: pending })
    }

    /// Frames of huge pages that are mapped in part, and not mapped themselves.
    fn of_huge_pages(&mut self) -> Result<u64, WitnessError> {
        let (mut held, mut last) = (0, None::<Compound>);
        for index in 0..self.now.len() {
            let frame = self.now[index];
            if frame == 0 || last.is_some_and(|last| last.contains(frame)) {
                continue;
            }
            let flags = self.kernel.flags(frame)?;
            if flags & COMPOUND == 0 || flags & ANON == 0 || flags & ZERO_PAGE != 0 {
                continue;
            }
            let compound = self.kernel.compound(frame)?;
            last = Some(compound);
            let Compound { head, frames } = compound;
            for offset in 0..frames {
                // A huge page is mapped as it lies; its head may be before guest memory.
                let page = (index as u64 + offset).checked_sub(frame - head).and_then(|page| self.page(page));
                if page.is_some_and(|page| self.now[page] == head + offset) {
                    continue;
                }
                held += 1;
                if let Some(page) = page {
                    self.covered[page] = true;
                }
            }
        }
        Ok(held)
    }

    /// The index of a page, if it is guest memory.
    fn page(&self, index: u64) -> Option<usize> {
        usize::try_from(index).ok().filter(|page| *page < self.now.len())
    }

    /// Of the frames found held at the last look those that still are, and have not become a page again.
    fn still_left(&mut self, drained: bool) -> Result<Vec<(u64, Hold)>, WitnessError> {
        let left = std::mem::take(&mut self.left);
        if left.is_empty() {
            return Ok(Vec::new());
        }
        let mapped: HashSet<_> = self.now.iter().collect();
        let unmapped = left.into_iter().filter(|frame| !mapped.contains(frame));
        let held = unmapped.map(|frame| Ok(self.kernel.hold(frame, drained)?.map(|hold| (frame, hold))));
        held.filter_map(Result::transpose).collect()
    }

    /// Frames that lost their page, since the last look or before, and are held by a reference; and those that a processor's list
    /// holds, which it gives up by itself.
    ///
    /// A frame that was given to another process looks the same for the moment in which that process unmaps it: what
    /// holds ours holds it still a while later.
    fn left_behind(&mut self, drained: bool) -> Result<(u64, u64), WitnessError> {
        let mut left = self.still_left(drained)?;
        for index in 0..self.now.len() {
            let frame = self.before[index];
            if frame == 0 || self.now[index] != 0 || self.covered[index] {
                continue;
            }
            if let Some(hold) = self.kernel.hold(frame, drained)? {
                left.push((frame, hold));
            }
        }
        for look in 0..LOOKS {
            if left.is_empty() {
                break;
            }
            sleep(FIRST * 2_u32.pow(look));
            self.kernel.forget();
            let kernel = &self.kernel;
            let again =
                left.iter().map(|(frame, _)| Ok(kernel.hold(*frame, drained)?.map(|hold| (*frame, hold))));
            left = again.filter_map(Result::transpose).collect::<Result<_, WitnessError>>()?;
        }
        self.left = left.iter().map(|(frame, _)| *frame).collect();
        let referenced = left.iter().filter(|(_, hold)| *hold == Hold::Reference).count();
        Ok((referenced as u64, (left.len() - referenced) as u64))
    }
}

/// What the kernel says of frames.
#[derive(Debug)]
struct Kernel {
    flags: File,
    counts: File,
    /// The flags of an aligned run of frames, and the first of them.
    run: Option<u64>,
    words: Vec<u8>,
}

impl Kernel {
    fn open() -> Result<Self, WitnessError> {
        let open = |path| File::open(path).map_err(WitnessError::read(path));
        let words = vec![0; WORDS];
        Ok(Self { flags: open(FLAGS)?, counts: open(COUNTS)?, run: None, words })
    }

    /// What was read is of another moment.
    const fn forget(&mut self) {
        self.run = None;
    }

    fn flags(&self, frame: u64) -> Result<u64, WitnessError> {
        match self.run {
            Some(run) if frame & !(HUGE - 1) == run => Ok(self.word(frame - run)),
            _ => word_at(&self.flags, FLAGS, frame),
        }
    }

    /// What holds a frame that guest memory has lost, if anything does. Of a small page that is as likely a list as
    /// anything else, unless the lists have been drained.
    fn hold(&self, frame: u64, drained: bool) -> Result<Option<Hold>, WitnessError> {
        let flags = self.flags(frame)?;
        // Whatever is mapped is somebody's: the frame was given away again.
        if flags & ANON == 0 || flags & ZERO_PAGE != 0 || self.maps(frame)? > 0 {
            return Ok(None);
        }
        let on_a_list = flags & COMPOUND == 0 && (flags & LRU == 0 || !drained);
        Ok(Some(if on_a_list { Hold::List } else { Hold::Reference }))
    }

    fn maps(&self, frame: u64) -> Result<u64, WitnessError> {
        word_at(&self.counts, COUNTS, frame)
    }

    /// The huge page that has this frame.
    fn compound(&mut self, frame: u64) -> Result<Compound, WitnessError> {
        let run = frame & !(HUGE - 1);
        if self.run != Some(run) {
            self.flags.read_exact_at(&mut self.words, run * WORD).map_err(WitnessError::read(FLAGS))?;
            self.run = Some(run);
        }
        let mut head = frame - run;
        while head > 0 && self.word(head) & COMPOUND_TAIL != 0 {
            head -= 1;
        }
        let tails = (head + 1..HUGE).take_while(|offset| self.word(*offset) & COMPOUND_TAIL != 0).count();
        Ok(Compound { head: run + head, frames: 1 + tails as u64 })
    }

    /// Of the run.
    fn word(&self, offset: u64) -> u64 {
        let words = self.words.as_chunks::<8>().0;
        usize::try_from(offset).ok().and_then(|at| words.get(at)).map_or(0, |word| u64::from_le_bytes(*word))
    }
}

fn word_at(file: &File, path: &str, frame: u64) -> Result<u64, WitnessError> {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, frame * WORD).map_err(WitnessError::read(path))?;
    Ok(u64::from_le_bytes(word))
}

/// To those who may not see them every frame is 0.
fn can_see_frames() -> Result<(), WitnessError> {
    let page = GuestRam::new(1)?;
    page.write(abi::addr::Gpa(0), 1)?;
    let frame = Residency::of(&page, page.whole())?.frames()?.next().flatten();
    match frame {
        Some(frame) if frame != 0 => Ok(()),
        _ => Err(WitnessError::Says { path: PAGEMAP.to_owned(), field: "frames (CAP_SYS_ADMIN sees them)" }),
    }
}
