//! Reports merged across one another: what is in a ring is held until there is more, up to so many reports or so long, and
//! discarded at once.
//!
//! ```text
//!   fetch ─ look again ─ fetch ─ … ─ discard ─ complete ─ complete ─ …
//! ```
//!
//! Every report of a round is acknowledged only when all of it is discarded, in the order in which they came. The time for
//! which one is held for others is in its *fetch*: the ranges of its round are not known before.

use std::time::Instant;

use super::Service;
use crate::balloon::RingError;
use crate::fault::Fault;
use crate::kvm::{HostTsc, Request, Watch};
use crate::serve::held::{Across, HOLD, HeldCounts};
use crate::serve::stamps::Stamp;
use crate::transport::Fetched;

/// What is known of the doorbells of what is fetched next.
struct Heard {
    /// Since when the thread looks.
    picked_up: HostTsc,
    /// How many rang for what was not found yet.
    rung: u64,
}

impl Service {
    /// The same that merges across reports, of which at most so many are held.
    pub(crate) fn across(self, most: usize) -> Self {
        Self { across: Some(Box::new(Across::of(most.max(1)))), ..self }
    }

    /// What was held so far.
    pub(crate) fn held(&self) -> HeldCounts {
        self.across.as_ref().map_or_else(HeldCounts::default, |across| across.counts)
    }

    /// [`Service::serve`] for a thread that is called to a ring, or looks into it, if `doorbells` is 0.
    #[inline]
    pub(crate) fn attend<W: Watch>(&mut self, picked_up: HostTsc, doorbells: u64) -> Result<(), RingError> {
        match self.across.take() {
            None => self.serve::<W>(&Request::KICK, picked_up, doorbells).map(drop),
            Some(mut across) => {
                let served = self.serve_across::<W>(&mut across, picked_up, doorbells);
                self.across = Some(across);
                served
            }
        }
    }

    #[cold]
    fn serve_across<W: Watch>(
        &mut self,
        across: &mut Across,
        picked_up: HostTsc,
        doorbells: u64,
    ) -> Result<(), RingError> {
        let late = self.ahead.min(doorbells);
        self.ahead -= late;
        let mut heard = Heard { picked_up, rung: doorbells - late };
        let mut found = false;
        loop {
            let ended = self.hold::<W>(across, &mut heard);
            let is_empty = across.stamps.is_empty();
            // Of a ring that broke meanwhile too: what is held was reported.
            self.let_go::<W>(across)?;
            ended?;
            if is_empty {
                self.stale += u64::from(!found);
                return Ok(());
            }
            found = true;
        }
    }

    /// Fetches what there is, and looks for more until the round is full or its first report was held for long enough.
    fn hold<W: Watch>(&mut self, across: &mut Across, heard: &mut Heard) -> Result<(), RingError> {
        let mut first: Option<Instant> = None;
        while across.stamps.len() < across.most {
            let began = W::now();
            self.batch.clear();
            match self.transport.fetch(&Request::KICK, &mut self.batch)? {
                Fetched::Call => {}
                // What is no report is said in none of the carriers that can have several in flight.
                Fetched::Nothing | Fetched::Aside | Fetched::Early => match first {
                    Some(first) if first.elapsed() < HOLD => {
                        std::hint::spin_loop();
                        heard.picked_up = W::now();
                        continue;
                    }
                    _ => break,
                },
            }
            let unrung = heard.rung == 0;
            self.ahead += u64::from(unrung && !self.transport.was_unasked());
            self.transport.put_aside();
            self.refused.add(&self.batch.refused);
            if self.batch.kept {
                // Accepted, and not discarded.
                self.reclaimer.take(&mut self.batch);
            } else {
                across.batch.append(&mut self.batch);
            }
            across.stamps.push(Stamp { picked_up: heard.picked_up, began, unrung, ..Stamp::default() });
            first.get_or_insert_with(Instant::now);
            *heard = Heard { picked_up: W::now(), rung: heard.rung.saturating_sub(1) };
        }
        if let Some(first) = first {
            across.counts.longest = across.counts.longest.max(first.elapsed());
        }
        Ok(())
    }

    /// Discards what is held, and then acknowledges every report of it.
    fn let_go<W: Watch>(&mut self, across: &mut Across) -> Result<(), RingError> {
        if across.stamps.is_empty() {
            return Ok(());
        }
        across.counts.reports += across.stamps.len() as u64;
        across.counts.rounds += 1;
        let fetched = W::now();
        self.planted.slow(Fault::SlowDiscard);
        std::mem::swap(&mut self.batch, &mut across.batch);
        self.discard();
        std::mem::swap(&mut self.batch, &mut across.batch);
        across.batch.clear();
        self.batch.clear();
        let discarded = W::now();
        let mut before = discarded;
        for stamp in across.stamps.drain(..) {
            self.transport.take_up();
            self.transport.complete(&self.batch)?;
            let completed = W::now();
            if W::RUNS {
                self.stamps.push(Stamp { fetched, discarded, completed, ..stamp });
                self.spent.complete += completed.since(before);
            }
            before = completed;
        }
        if W::RUNS {
            self.spent.discard += discarded.since(fetched);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
    use abi::calls::Answer;

    use super::*;
    use crate::axes::{Coalesce, Discard};
    use crate::fault::Planted;
    use crate::kvm::Running;
    use crate::memory::GuestRam;
    use crate::reclaim::{Batch, Reclaimer};
    use crate::transport::Transport;

    /// Pages that are reported, a report each; `None` where a look finds nothing.
    type Looks = &'static [Option<u64>];

    /// A ring in which this is found, and then nothing for ever. It notes what is resident at every acknowledgement.
    struct Scripted {
        ram: Arc<GuestRam>,
        looks: std::slice::Iter<'static, Option<u64>>,
        breaks: bool,
        fetched: Vec<u64>,
        aside: usize,
        /// Whether the pages of all that were fetched are gone, at each acknowledgement.
        acknowledged: Arc<Mutex<Vec<bool>>>,
    }

    fn page(number: u64) -> Gpa {
        Gpa(number * PAGE_SIZE)
    }

    impl Transport for Scripted {
        fn fetch(&mut self, _: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
            match self.looks.next() {
                Some(Some(number)) => {
                    batch.push(ByteRange { gpa: page(*number), len: PAGE_SIZE }, &self.ram);
                    self.fetched.push(*number);
                    Ok(Fetched::Call)
                }
                None if self.breaks => Err(RingError::AvailableJump { queue: 2 }),
                Some(None) | None => Ok(Fetched::Nothing),
            }
        }

        fn put_aside(&mut self) {
            self.aside += 1;
        }

        fn take_up(&mut self) {
            self.aside -= 1;
        }

        fn complete(&mut self, _: &Batch) -> Result<Answer, RingError> {
            let gone = self.fetched.iter().all(|number| self.ram.read(page(*number)).unwrap() == 0);
            self.acknowledged.lock().unwrap().push(gone);
            Ok(Answer::Done { refused: 0 })
        }
    }

    /// What comes of looks where so many reports are held: how it ended, what was held, calls of `madvise`, and whether what
    /// was fetched was gone at each acknowledgement.
    fn served(looks: Looks, most: usize, breaks: bool) -> (bool, HeldCounts, u64, Vec<bool>) {
        let ram = Arc::new(GuestRam::new(4 << 20).unwrap());
        for number in looks.iter().flatten() {
            ram.write(page(*number), 1).unwrap();
        }
        let acknowledged = Arc::default();
        let ring = Scripted {
            ram: Arc::clone(&ram),
            looks: looks.iter(),
            breaks,
            fetched: Vec::new(),
            aside: 0,
            acknowledged: Arc::clone(&acknowledged),
        };
        let reclaimer = Reclaimer::new(ram, Discard::DontNeed, Coalesce::Across, Planted::NONE);
        let mut service = Service::new(Box::new(ring), reclaimer, Arc::default(), Planted::NONE).across(most);
        let ended = service.attend::<Running>(HostTsc::now(), 1);
        let found = acknowledged.lock().unwrap().clone();
        assert_eq!(service.stamps.pushed(), found.len() as u64, "a stamp an acknowledgement");
        (ended.is_ok(), service.held(), service.taken().madvise_calls, found)
    }

    #[test]
    fn neighbours_of_several_reports_are_one_call_and_none_is_acknowledged_before() {
        let (_, held, calls, gone) = served(&[Some(9), Some(8), Some(3), Some(10)], 4, false);
        assert_eq!((held.reports, held.rounds, calls), (4, 1, 2), "8 to 10, and 3");
        assert_eq!(gone, [true; 4]);
    }

    #[test]
    fn a_full_round_waits_for_nobody_and_the_next_begins() {
        let (_, held, calls, gone) = served(&[Some(1), Some(2), Some(3), Some(4)], 2, false);
        assert_eq!((held.reports, held.rounds, calls), (4, 2, 2));
        assert_eq!(gone, [true; 4]);
        assert!(held.longest < HOLD, "{held:?}");
    }

    /// As at the end of a trial, or when a guest has nothing more to tell.
    #[test]
    fn what_is_alone_is_held_for_so_long_and_no_longer() {
        let began = Instant::now();
        let (_, held, _, gone) = served(&[Some(1), None, None, Some(2)], 8, false);
        let took = began.elapsed();
        assert_eq!((held.reports, held.rounds), (2, 1), "what comes in time goes along");
        assert_eq!(gone, [true; 2]);
        assert!(held.longest >= HOLD && held.longest <= took, "{held:?} in {took:?}");
        assert!(took < HOLD * 1000, "{took:?}");
    }

    #[test]
    fn a_ring_that_breaks_takes_nothing_with_it_that_is_held() {
        let (ended_well, held, calls, gone) = served(&[Some(1), Some(2)], 8, true);
        assert!(!ended_well);
        assert_eq!((held.reports, calls), (2, 1));
        assert_eq!(gone, [true; 2]);
    }

    #[test]
    fn nothing_is_called_in_vain_but_where_nothing_is() {
        assert_eq!(served(&[], 8, false), (true, HeldCounts::default(), 0, vec![]));
    }
}
