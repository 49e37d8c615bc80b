//! Guest memory without a guest, and what its witnesses say: for tests of the witnesses on the real kernel.

use std::io;

use abi::addr::{ByteRange, Gpa, Order, PAGE_SIZE, PageRange, Pfn};

use crate::axes::Backing;
use crate::memory::{Advice, Grip, GuestRam, Held, Residency, Splits, Witness, WitnessKind, advise};
use crate::trial::TrialError;

/// Memory, and those who look at it.
pub struct Watched {
    // Left before the memory is unmapped, so that nothing of it is charged elsewhere.
    witnesses: Vec<Witness>,
    ram: GuestRam,
    residency: Residency,
    splits: Option<Splits>,
    grip: Grip,
}

/// Whether frames can be looked at one by one here: root can. Others cannot tell of pages as few as a report has.
#[must_use]
pub fn sees_frames() -> bool {
    Watched::new(PAGE_SIZE, Backing::Anon, &[WitnessKind::Frames]).is_ok()
}

/// What is to be seen of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Pages in no page table.
    pub unmapped: u64,
    /// What each witness says is held of them.
    pub held: Vec<Held>,
    /// What the kernel did with huge pages since the memory was made.
    pub splits: Option<Splits>,
}

impl Watched {
    /// Untouched memory of so many bytes.
    ///
    /// # Errors
    /// [`TrialError`] if it cannot be had, or one of the witnesses cannot.
    pub fn new(bytes: u64, backing: Backing, kinds: &[WitnessKind]) -> Result<Self, TrialError> {
        let ram = GuestRam::backed(bytes, backing)?;
        let witnesses = kinds.iter().map(|kind| Witness::of(*kind, &ram)).collect::<Result<_, _>>()?;
        let residency = Residency::of(&ram, ram.whole())?;
        Ok(Self { witnesses, ram, residency, splits: Splits::now(), grip: Grip::default() })
    }

    /// How many pages there are.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.ram.whole().pages()
    }

    /// Writes to a page.
    ///
    /// # Errors
    /// [`TrialError`] if it is not memory.
    pub fn touch(&self, page: u64) -> Result<(), TrialError> {
        Ok(self.ram.write(Pfn(page).gpa(), 1)?)
    }

    /// Discards a page, as a report does.
    ///
    /// # Errors
    /// What the kernel says if it is not memory.
    pub fn discard(&self, page: u64) -> io::Result<()> {
        advise(&self.ram, PageRange::block(Pfn(page), Order::PAGE), Advice::DontNeed)
    }

    /// Takes a reference to each of the first pages, 256 at the most, that is never given up.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn grip(&mut self, pages: u64) -> io::Result<()> {
        let range = ByteRange::of_pages(Gpa(0), pages).and_then(ByteRange::inward);
        self.grip.hold(&self.ram, range.map_err(|_| io::ErrorKind::InvalidInput)?)
    }

    /// What is to be seen now.
    ///
    /// # Errors
    /// [`TrialError`] if a witness does not answer.
    pub fn look(&mut self) -> Result<Seen, TrialError> {
        let held = self.witnesses.iter_mut().map(Witness::look).collect::<Result<_, _>>()?;
        Ok(Seen {
            unmapped: self.pages() - self.residency.count()?,
            held,
            splits: Splits::change_since(self.splits),
        })
    }

    /// Limits the cgroup of the trial to so many pages less than it has been charged for.
    ///
    /// # Errors
    /// [`TrialError`] if there is no such group, or the kernel cannot make it so small.
    pub fn squeeze(&self, pages: u64) -> Result<(), TrialError> {
        Ok(self.witnesses.iter().try_for_each(|witness| witness.squeeze(pages))?)
    }
}
