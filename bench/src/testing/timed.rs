//! A host, timed trials, and an executor that needs no KVM.

use std::time::{Duration, SystemTime};

use abi::addr::Order;
use abi::axes::Axis;
use abi::timed::burst::Burst;
use hdrhistogram::Histogram;
use host::axes::{
    Bell, Carrier, Completion, Discard, Doorbell, Freed, GuestRing, HaltPoll, RingFeatures, Servicer,
};
use host::balloon::RingCounts;
use host::engine::{EngineOutcome, EngineSpec};
use host::kvm::{Counter, Exits, Flavour, Placed};
use host::linux::{LinuxError, LinuxOutcome};
use host::memory::{Splits, WitnessKind};
use host::probe::{Answered, ClockSource, DoorbellFact, Facts};
use host::reclaim::{PutOffCounts, Refused};
use host::timed::{Collateral, Observer, Outcome, Proof, Sample, Stopwatch, Threads, TimedSpec, Weight};
use host::trial::{Common, TrialError};

use crate::archive::Archive;
use crate::archive::hlog::Merged;
use crate::axes::named::Named;
use crate::axes::rung::{CallBy, Rung};
use crate::experiment;
use crate::plan::keys::Keys;
use crate::run::executor::Executor;
use crate::site::environment::Environment;
use crate::site::machine::Machine;
use crate::testing::linux;
use crate::trial::linux::choices::LinuxTrial;
use crate::trial::record::{Body, Ending, Stretch, TrialRecord};
use crate::trial::spec::Series;
use crate::trial::timed::measured::TimedMeasured;
use crate::trial::timed::phases::PhaseHistograms;

/// A host whose hypercall works.
pub(crate) fn facts() -> Facts {
    let answer = |doorbell, round_trip_ticks| DoorbellFact {
        doorbell,
        guest_ring: GuestRing::Zero,
        answered: Answered::After { round_trip_ticks },
    };
    Facts {
        flavour: Flavour::Vmx,
        capabilities: vec![
            ("KVM_CAP_EXIT_HYPERCALL", true),
            ("KVM_CAP_HALT_POLL", true),
            ("KVM_CAP_IOEVENTFD_ANY_LENGTH", true),
            ("vhost-pagehint", true),
        ],
        max_vcpus: 8,
        hypercall: Bell::Vmcall,
        doorbells: vec![
            answer(Doorbell::Hypercall, 3000),
            answer(Doorbell::Mmio, 10000),
            answer(Doorbell::HypercallKernel, 1000),
            answer(Doorbell::XenHypercall, 3100),
            answer(Doorbell::HypervHypercall, 3200),
            answer(Doorbell::HypercallModule, 1100),
        ],
        floors: Vec::new(),
        instruction_ticks: [Some(0.6), None],
        ring0_emulated: false,
        counter: Counter::Time,
        tsc_khz: 2_000_000,
        tsc_offset: Some(-5),
        payload_target: "x86_64-unknown-none",
        placed: placed(),
        clock_source: ClockSource { invariant: Some(true), ..ClockSource::default() },
    }
}

/// Four cores of one thread.
pub(crate) fn placed() -> Placed {
    Placed { vcpus: vec![3], device: Some(2), watchdog: Some(1), node: Some(0), ..Placed::default() }
}

/// The same host as it is written.
pub(crate) fn environment() -> Environment {
    Environment::here(&facts())
}

/// The same on a machine that counts instructions.
pub(crate) fn lab() -> Environment {
    let mut environment = Environment::here(&Facts { counter: Counter::Instructions, ..facts() });
    environment.host = "the lab, counted in instructions".to_owned();
    // The settings of the machine that runs the tests have names of their own.
    environment.machine = Machine::default();
    environment
}

/// What becomes of pages that are discarded badly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Badly {
    /// They are unmapped, and not back.
    UnmapsOnly,
    /// They are unmapped, and the witness cannot tell.
    CannotTell,
    /// They are not even unmapped.
    NotAtAll,
}

impl Badly {
    fn done_to(self, proof: Proof) -> Proof {
        match self {
            Self::UnmapsOnly => Proof { back: 0, ..proof },
            Self::CannotTell => Proof { back: 0, unknown: proof.unmapped, ..proof },
            Self::NotAtAll => Proof { unmapped: 0, back: 0, ..proof },
        }
    }
}

/// What the stopwatch of that machine adds to a call, in ticks.
const STOPWATCH: u64 = 100;

/// Trials in a block of the ladder.
const A_BLOCK: usize = 18;

/// What weighing the stopwatch shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Weighing {
    /// What it costs.
    #[default]
    Rightly,
    /// Nothing.
    Never,
    /// That it costs less than nothing.
    Backwards,
    /// What it costs, in the first block and in no other.
    InOneBlock,
}

/// A machine on which an exit costs 2000 ticks, one that KVM answers itself 1000, waking a thread 9000, an
/// interrupt 5000, a discard 300 a range, and 1200 if the vCPU polls meanwhile; one for all ranges 1000, and 100 a range.
#[derive(Default)]
pub(crate) struct FakeExecutor {
    /// Trials run so far.
    pub(crate) ran: usize,
    /// The trial that fails.
    pub(crate) fails_at: Option<usize>,
    /// The trial during which a signal comes.
    pub(crate) stopped_at: Option<usize>,
    /// The trial whose guest finds a page scrambled.
    pub(crate) scrambled_at: Option<usize>,
    /// What its discards do instead, if anything.
    pub(crate) discards: Option<Badly>,
    /// Whether its counter counts instructions.
    pub(crate) counts_instructions: bool,
    /// What weighing its stopwatch shows.
    pub(crate) weighing: Weighing,
    /// What its kernel says about idling.
    pub(crate) idle_ticks: Option<u64>,
}

impl FakeExecutor {
    fn sample(&self, spec: &TimedSpec, report: u64) -> Sample {
        let ranges = if spec.way.carrier == Carrier::Empty { 0 } else { u64::from(spec.batch) };
        let calls = match spec.way.gathers() {
            // Where reports are gathered one in a hundred makes the call.
            Some(_) => u64::from(report % 100 == 99 || report + 1 == spec.reports),
            None if spec.way.carrier.is_one_range() => ranges,
            None => 1,
        };
        // Some spread within a trial, and from block to block.
        let noise = (report * 7919) % 100 + abi::digest::mix(spec.seed) % 40;
        let mut sample =
            Sample { ranges, calls, touch: 900 * ranges, retouch: 100 * ranges, ..Sample::default() };
        sample.prepare = 20 * ranges;
        sample.transit = calls * (1000 + STOPWATCH) + noise;
        sample.resume = if spec.way.servicer == Servicer::Kernel { 0 } else { calls * 1000 };
        sample.fetch = if spec.way.carrier.is_ring() { 30 * ranges } else { 10 * ranges };
        if spec.way.doorbell.is_ioeventfd() {
            sample.wake = 9000;
        }
        if spec.way.completion == Completion::Interrupt {
            sample.resume += if spec.way.halt_poll == HaltPoll::Never { 5000 } else { 3000 };
        }
        if spec.way.discard != Discard::None && spec.way.carrier != Carrier::Empty {
            // A vCPU that runs meanwhile has to be flushed.
            let each = if spec.way.completion == Completion::Poll { 1200 } else { 300 };
            // One call for all: dearer to begin with, and cheaper a range.
            let vectored = spec.way.discard == Discard::Vectored;
            sample.discard = if vectored { 1000 + 100 * ranges } else { each * ranges };
        }
        sample.total = sample.explained() + 10;
        sample
    }
}

impl Executor for FakeExecutor {
    fn timed(&mut self, spec: &TimedSpec, observer: &mut dyn Observer) -> Result<Outcome, TrialError> {
        spec.validate().map_err(TrialError::from)?;
        let now = Some(self.ran);
        self.ran += 1;
        if now == self.fails_at {
            return Err(TrialError::Kvm(host::kvm::KvmError::Missing));
        }
        if now == self.stopped_at {
            return Err(TrialError::Stopped);
        }
        let mut calls = 0;
        for report in 0..spec.reports * u64::from(spec.company.reporters) {
            let sample = self.sample(spec, report);
            calls += sample.calls;
            observer.sample(&sample);
        }
        let mut outcome = outcome(spec, calls, self.counter());
        outcome.idle_ticks = self.idle_ticks;
        if let Some(badly) = self.discards {
            outcome.proof = badly.done_to(outcome.proof);
        }
        match self.weighing {
            Weighing::Rightly => {}
            Weighing::Never => outcome.stopwatch = None,
            Weighing::Backwards => {
                outcome.stopwatch = outcome.stopwatch.map(|weight| Weight { once: -weight.once, ..weight });
            }
            Weighing::InOneBlock if self.ran <= A_BLOCK => {}
            Weighing::InOneBlock => outcome.stopwatch = None,
        }
        if now == self.scrambled_at {
            outcome.common.violations.push((abi::violation::Violation::Scrambled, 1));
        }
        Ok(outcome)
    }

    fn linux(&mut self, trial: &LinuxTrial) -> Result<LinuxOutcome, LinuxError> {
        Ok(linux::outcome(trial))
    }

    fn engine(&mut self, _: &EngineSpec) -> Result<EngineOutcome, TrialError> {
        Err(TrialError::Stopped)
    }

    fn counter(&self) -> Counter {
        if self.counts_instructions { Counter::Instructions } else { Counter::Time }
    }
}

/// From stamp to stamp: a fault takes 4000 ticks, and one in a thousand 3 000 000 more for each that reports.
fn gaps(spec: &TimedSpec) -> Vec<(u64, u64)> {
    let faulting = u64::from(spec.company.vcpus - spec.company.reporters);
    let slow = 4000 + 3_000_000 * u64::from(spec.company.reporters) + abi::digest::mix(spec.seed) % 40;
    let counts = [(4000, 998 * faulting), (slow, 2 * faulting)];
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// A report takes 20 µs of a vCPU's thread and 10 of the device's, which takes 90 if it polls.
fn threads(spec: &TimedSpec) -> Threads {
    let reports = spec.reports * u64::from(spec.company.reporters);
    let noise = abi::digest::mix(spec.seed) % 1000;
    let device = match spec.way.servicer {
        Servicer::Vcpu | Servicer::Kernel | Servicer::Vhost => None,
        Servicer::Device => Some(10_000),
        Servicer::Polling => Some(90_000),
    };
    Threads {
        vcpus_ns: 20_000 * reports + noise,
        guest_ns: None,
        device_ns: device.map(|ns| ns * reports + noise),
    }
}

fn outcome(spec: &TimedSpec, calls: u64, counter: Counter) -> Outcome {
    let reports = spec.reports * u64::from(spec.company.reporters);
    let weighed = spec.stopwatch == Stopwatch::Weighed;
    let calls = if weighed { calls * Burst::ALL.len() as u64 } else { calls };
    let timed = |ns| (counter == Counter::Time).then_some(ns);
    let by = |doorbell| if spec.way.doorbell == doorbell { calls } else { 0 };
    let exits = Exits {
        hypercall: by(Doorbell::Hypercall) + by(Doorbell::XenHypercall) + by(Doorbell::HypervHypercall),
        port: by(Doorbell::Port) + by(Doorbell::CoalescedPort) + by(Doorbell::CoalescedMmio),
        mmio: by(Doorbell::Mmio),
        control: 2,
        interrupted: 0,
    };
    let slept = if spec.way.completion == Completion::Interrupt { spec.reports } else { 0 };
    let names_pages = spec.way.carrier != Carrier::Empty;
    let discards = names_pages && spec.way.discard != Discard::None;
    let reported = if names_pages { u64::from(spec.batch) } else { 0 };
    let freed = if spec.way.frees(spec.order) == Freed::All { reported } else { 0 };
    let digest = if names_pages { abi::digest::mix(spec.seed) } else { 0 };
    Outcome {
        common: Common {
            bell: Bell::Vmcall,
            guest_ring: GuestRing::Zero,
            counter,
            tsc_khz: 2_000_000,
            exits,
            kvm_stats: vec![
                ("fpu_reload".into(), exits.transport() + exits.control),
                (
                    "hypercalls".into(),
                    exits.hypercall + by(Doorbell::HypercallKernel) + by(Doorbell::HypercallModule),
                ),
                ("mmio_exits".into(), exits.mmio),
                (
                    "tlb_flush".into(),
                    if spec.way.completion == Completion::Poll { 33 } else { 1 } * spec.reports,
                ),
                ("halt_successful_poll".into(), if spec.way.halt_poll == HaltPoll::Host { slept } else { 0 }),
                ("halt_wakeup".into(), if spec.way.halt_poll == HaltPoll::Never { slept } else { 0 }),
                ("halt_wait_ns".into(), 7),
            ],
            placed: placed(),
            stale_kicks: 0,
            ring: ring(&spec.way, calls),
            cpu_ns: timed(30_000_000),
            madvise_calls: match spec.way.discard {
                _ if !discards => 0,
                Discard::Deferred => 0,
                Discard::Vectored => calls,
                _ => reports * reported,
            },
            discarded_pages: if discards { reports * reported * spec.order.pages() } else { 0 },
            madvise_failures: 0,
            madvise_error: None,
            put_off: (spec.way.discard == Discard::Deferred).then(|| PutOffCounts {
                remembered: 3 * reported,
                discarded: reported,
                taken_back: 2 * reported,
                wanted: 3,
                calls: 3,
                failures: 0,
                took: Duration::from_nanos(300 * reported),
            }),
            userfault: None,
            announced: 0,
            deflated_pages: 0,
            refused: Refused::default(),
            witness: WitnessKind::Frames,
            splits: None,
            huge_share: 0.0,
            violations: Vec::new(),
            elapsed_ns: timed(60_000_000),
        },
        tsc_offset: -5,
        stopwatch: weighed.then_some(Weight {
            rounds: 32,
            bare: 1990.0,
            once: STOPWATCH as f64,
            each: STOPWATCH as f64,
            registers: None,
        }),
        idles: if spec.idle == 0 { 0 } else { spec.reports },
        reports,
        ranges: reports * reported,
        calls,
        disordered: 0,
        threads: timed(0).map(|_| threads(spec)),
        looks: if spec.way.servicer == Servicer::Polling { 50 * reports } else { 0 },
        gaps: gaps(spec),
        reported_digest: digest,
        taken_digest: digest,
        proof: Proof {
            proofs: 1,
            reported,
            resident_before: reported,
            unmapped: freed,
            lazy: if spec.way.discard == Discard::Free { reported } else { 0 },
            back: freed,
            unknown: 0,
            within: 0,
            lost: 0,
        },
        in_flight: 0,
        taken_back: 0,
        spared: 0,
        overflows: 0,
        held: host::serve::HeldCounts::default(),
        in_kernel: spec.way.module().map(|_| host::timed::ModuleCounts {
            calls,
            ranges: reported * reports,
            pages: reported * reports * spec.order.pages(),
            refused: 0,
            digest,
        }),
        collateral: spec.looks_around.then(|| collateral(spec)),
        checked_pages: 64,
        interrupts: 0,
        memory_beside_ram: 8 << 20,
        idle_ticks: None,
        boot_ns: timed(50_000_000),
    }
}

/// What the options of a ring come to in so many reports.
pub(crate) fn ring(way: &host::axes::Way, reports: u64) -> RingCounts {
    let if_chosen = |chosen: bool| if chosen { reports } else { 0 };
    let RingFeatures { indirect, event_idx, in_order } = way.ring_features;
    let wants_interrupts = way.completion == Completion::Interrupt;
    RingCounts {
        tables: if_chosen(indirect),
        interrupts_due: if_chosen(event_idx && wants_interrupts),
        interrupts_suppressed: if_chosen(event_idx && !wants_interrupts),
        kicks_asked: if_chosen(event_idx),
        in_order: if_chosen(in_order),
        ..RingCounts::default()
    }
}

/// A discard of part of a huge page takes the page apart, and costs the guest a fault on each of its neighbours.
fn collateral(spec: &TimedSpec) -> Collateral {
    let in_part = spec.way.discard != Discard::None && spec.way.backing.is_thp() && spec.order < Order::HUGE;
    let broken = u64::from(in_part) * u64::from(spec.batch);
    Collateral {
        reports: 2,
        neighbours: 2 * 4096,
        faults: Some(2 * broken * 511),
        huge: [16 << 20, (16 << 20) - broken * (1 << 20)],
        mappings: [200, if spec.way.discard == Discard::Remap { 210 } else { 200 }],
        splits: Some(Splits { deferred: broken, done: 0 }),
        remote_flushes: None,
        flushes: Some(2),
    }
}

/// A trial of `hypercall-batch`.
pub(crate) fn spec() -> TimedSpec {
    Keys { discard: Some(Named(Discard::None)), ..Keys::default() }
        .timed(Rung::HypercallBatch.transport(CallBy::Hypercall))
}

/// Such a trial all of whose reports took `total` ticks.
pub(crate) fn trial(number: u32, total: u64) -> (TrialRecord, PhaseHistograms) {
    let spec = spec();
    let mut histograms = PhaseHistograms::new(Counter::Time);
    histograms.reset(spec.reports);
    for _ in 0..spec.reports {
        histograms.sample(&Sample { total, ranges: 32, calls: 1, ..Sample::default() });
    }
    let measured = TimedMeasured::new(&outcome(&spec, spec.reports, Counter::Time), &histograms);
    let stretch = Some(Stretch { started: SystemTime::UNIX_EPOCH, took: Duration::from_millis(5) });
    let body = Body::Timed { choices: (&spec).into(), ending: Ending::Measured(Box::new(measured)) };
    (TrialRecord::new(number, 0, 1, stretch, body), histograms)
}

/// A run counted in instructions in which every report took `total`.
pub(crate) fn counted(total: u64) -> Archive {
    let (record, histograms) = trial(0, total);
    let cell = record.choices();
    let of = |(phase, histogram): (_, &Histogram<u64>)| ((cell, Series::Phase(phase)), histogram.clone());
    let merged = Merged { histograms: histograms.series().map(of).collect(), dropped: 0 };
    let plan = experiment::named("ladder").unwrap().plan(Some("lab-check")).unwrap();
    Archive { environment: lab(), plan, trials: vec![record], merged, remarks: Vec::new() }
}
