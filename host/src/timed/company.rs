//! The other processors of a timed trial: what each of them says, and what it leaves. The first speaks for all, as one
//! alone does.

use std::sync::{Arc, Mutex, PoisonError};

use abi::addr::Gpa;
use abi::control::Control;
use abi::tally::{BUCKETS, highest};
use abi::timed::company::{Company, Own, Share};

use super::sample::{Observer, Sample};
use super::stream::{Measured, Stream};
use crate::axes::Discard;
use crate::kvm::{Flow, Thread, ThreadTime};
use crate::memory::{Discarder, GuestRam};
use crate::trial::{Part, TrialError};

/// Who receives the samples of all processors.
pub(super) type Audience<'a> = Mutex<&'a mut dyn Observer>;

/// Takes the share of a processor that faults, whenever it has touched all of it.
#[derive(Debug)]
pub(super) struct Vacater {
    share: Share,
    discarder: Discarder,
    /// How often it was told to.
    pub(super) times: u64,
}

impl Vacater {
    /// Of a processor that faults; `None` of one that reports.
    pub(super) fn of(company: Company, vcpu: u32, ram: &Arc<GuestRam>, arena_pages: u64) -> Option<Self> {
        let discarder = || Discarder::new(Arc::clone(ram), Discard::DontNeed);
        (!company.reports(vcpu)).then(|| Self {
            share: company.share(vcpu, arena_pages),
            discarder: discarder(),
            times: 0,
        })
    }

    /// Takes all of it, in one call.
    pub(super) fn vacate(&mut self) -> Result<(), TrialError> {
        // Whole pages, as every share.
        let Ok(range) = self.share.bytes().inward() else { return Ok(()) };
        self.times += 1;
        self.discarder.discard(range).map_err(TrialError::Vacate)
    }
}

/// Hears a processor that is not the first.
pub(super) struct Other<'a> {
    pub(super) stream: Stream,
    pub(super) vacater: Option<Vacater>,
    pub(super) audience: &'a Audience<'a>,
    /// With the processor time of its thread.
    pub(super) part: Part<ThreadTime>,
    pub(super) measured: Measured,
}

impl Other<'_> {
    /// What it says.
    pub(super) fn control(&mut self, control: Control) -> Result<Flow, TrialError> {
        match control {
            Control::Begin => {
                self.drain()?;
                self.part.begin(Thread::this().time())?;
            }
            Control::Drain => self.drain()?,
            Control::End => {
                self.drain()?;
                self.part.end(Thread::this().time())?;
            }
            Control::Vacate => vacate(self.vacater.as_mut())?,
            Control::Parked => {
                self.drain()?;
                return Ok(Flow::Leave);
            }
            Control::Panicked => return Err(self.stream.panicked()),
            _ => return Err(TrialError::Protocol { what: "a processor said what only the first may say" }),
        }
        Ok(Flow::Resume)
    }

    /// Processor time of its thread in the measured part.
    pub(super) fn time(&self) -> Result<ThreadTime, TrialError> {
        let (begin, end) = self.part.marks()?;
        Ok(end.since(*begin))
    }

    fn drain(&mut self) -> Result<(), TrialError> {
        self.stream.look()?;
        while let Some((report, sample)) = self.stream.next()? {
            if !self.part.is_running() {
                continue;
            }
            self.measured.add(&report, report.calls, sample.as_ref());
            if let Some(sample) = &sample {
                hear(self.audience, sample);
            }
        }
        Ok(())
    }
}

/// A sample of any of them.
pub(super) fn hear(audience: &Audience<'_>, sample: &Sample) {
    audience.lock().unwrap_or_else(PoisonError::into_inner).sample(sample);
}

/// A processor asks for its share to be taken.
pub(super) fn vacate(vacater: Option<&mut Vacater>) -> Result<(), TrialError> {
    let nobody = TrialError::Protocol { what: "a processor that reports asked for its pages to be taken" };
    vacater.map_or(Err(nobody), Vacater::vacate)
}

/// From stamp to stamp of processors that fault: ticks, at the most, and how often it was so many.
pub(super) fn gaps(
    ram: &GuestRam,
    company: Company,
    arena_pages: u64,
) -> Result<Vec<(u64, u64)>, TrialError> {
    let mut sums = vec![0_u64; BUCKETS];
    let mut tally = vec![0_u64; BUCKETS];
    for vcpu in company.reporters..company.vcpus {
        let at: Gpa = Own::of(vcpu, arena_pages).tally();
        ram.read_into(at, &mut tally)?;
        // The guest's word: any number.
        sums.iter_mut().zip(&tally).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
    }
    Ok((0..).zip(sums).filter(|(_, count)| *count > 0).map(|(at, count)| (highest(at), count)).collect())
}
