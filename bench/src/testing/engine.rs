//! A fake for tests: an engine that needs no KVM.

use std::time::Duration;

use abi::addr::PAGE_SIZE;
use abi::axes::Axis;
use host::axes::{Bell, Carrier, Discard, GuestRing, Servicer};
use host::engine::{
    Bucket, EngineOutcome, EngineSpec, Flushed, GuestCounter, Inhibited, Load, Looked, PassRecord, Point,
    Reporting, Settled, Shuffle, Tally, Walk,
};
use host::kvm::Counter;
use host::kvm::Exits;
use host::linux::{LinuxError, LinuxOutcome};
use host::memory::WitnessKind;
use host::reclaim::Refused;
use host::serve::Spent;
use host::timed::{Observer, Outcome, TimedSpec};
use host::trial::{Common, TrialError};

use crate::axes::rung::{CallBy, Rung};
use crate::experiment::rate::found;
use crate::experiment::rate::predict::{self, Limits};
use crate::plan::keys::Keys;
use crate::run::executor::Executor;
use crate::testing::linux;
use crate::trial::engine::choices::Choices;
use crate::trial::engine::measured::EngineMeasured;
use crate::trial::linux::choices::LinuxTrial;
use crate::trial::record::{Body, Ending, TrialRecord};

/// Ticks in a microsecond.
const US: u64 = 2000;

/// What goes wrong in a trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// It has no outcome.
    Fails,
    /// A signal comes.
    Stopped,
    /// A page is handed out twice.
    HandedOutTwice,
    /// A page is gone that was not reported.
    Lost,
    /// A page that was reported is still there.
    Kept,
    /// The host saw more calls than the guest made.
    Calls,
    /// The host discarded other pages than were reported.
    Discards,
    /// Half of the memory does not come back.
    Resident,
    /// What is reported is unmapped, and not back.
    UnmapsOnly,
    /// What is reported is unmapped, and the witness cannot tell.
    CannotTell,
    /// The host finds pages wrong that the guest does not.
    SeenByTheHost,
    /// The host does not look.
    NotLooked,
    /// Passes come at half the rate they should.
    Slow,
    /// No pass comes after the first.
    Stalls,
}

/// A machine with known costs: an operation takes 100 µs and 2 µs more with reporting on, half a discard's cost later;
/// a report takes 20 µs and 1 µs a block.
#[derive(Default)]
pub(crate) struct FakeEngine {
    /// Trials run so far.
    pub(crate) ran: usize,
    /// In which trial what goes wrong.
    pub(crate) wrong: Option<(usize, Wrong)>,
}

impl Executor for FakeEngine {
    fn timed(&mut self, _: &TimedSpec, _: &mut dyn Observer) -> Result<Outcome, TrialError> {
        Err(TrialError::Stopped)
    }

    fn counter(&self) -> Counter {
        Counter::Time
    }

    fn linux(&mut self, trial: &LinuxTrial) -> Result<LinuxOutcome, LinuxError> {
        Ok(linux::outcome(trial))
    }

    fn engine(&mut self, spec: &EngineSpec) -> Result<EngineOutcome, TrialError> {
        spec.validate().map_err(|error| TrialError::Statistics(std::io::Error::other(error.to_string())))?;
        let wrong = self.wrong.filter(|(trial, _)| *trial == self.ran).map(|(_, wrong)| wrong);
        self.ran += 1;
        match wrong {
            Some(Wrong::Fails) => Err(TrialError::Kvm(host::kvm::KvmError::Missing)),
            Some(Wrong::Stopped) => Err(TrialError::Stopped),
            wrong => Ok(outcome(spec, self.ran as u64, wrong)),
        }
    }
}

/// A trial of two rounds of `memhog`, over a transport whose calls are exits.
pub(crate) fn trial() -> TrialRecord {
    let keys: Keys =
        toml::from_str("memory = 268435456\nload = \"memhog\"\nrounds = 2\nmin-order = 9\nunit = 9").unwrap();
    let spec = keys.engine(Rung::HypercallBatch, CallBy::Port);
    let measured = EngineMeasured::new(&FakeEngine::default().engine(&spec).unwrap());
    let body = Body::Engine { choices: (&spec).into(), ending: Ending::Measured(Box::new(measured)) };
    TrialRecord::new(0, 0, 1, None, body)
}

/// What the load of a trial amounts to.
struct Made {
    /// Blocks reported.
    blocks: u64,
    reports: u64,
    /// Pages a block has.
    pages: u64,
    passes: Vec<PassRecord>,
}

fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap() * US
}

fn made(spec: &EngineSpec, wrong: Option<Wrong>) -> Made {
    let pages = spec.min_order.pages();
    if spec.reporting != Reporting::On {
        return Made { blocks: 0, reports: 0, pages, passes: Vec::new() };
    }
    let capacity = u64::from(spec.capacity);
    if spec.load.is_timed() || matches!(spec.load, Load::Memhog | Load::Flush) {
        let reports = 8;
        return Made { blocks: reports * capacity, reports, pages, passes: Vec::new() };
    }
    let lists = found::lists(&Choices::from(spec), spec.map().managed());
    let limits = Limits { capacity, budget: spec.budget };
    let delay = ticks(spec.delay) * if wrong == Some(Wrong::Slow) { 2 } else { 1 };
    let mut at = 1_000_000;
    let most = if wrong == Some(Wrong::Stalls) { 1 } else { usize::MAX };
    let passes: Vec<PassRecord> = predict::passes(&lists, limits)
        .into_iter()
        .take(most)
        .map(|pass| {
            let (began, ended) = (at + delay, at + delay + pass.reports * 20 * US);
            at = ended;
            PassRecord { began, ended, reports: pass.reports, pages: pass.pages }
        })
        .collect();
    Made {
        blocks: lists.iter().flatten().map(|list| list.free).sum(),
        reports: passes.iter().map(|pass| pass.reports).sum(),
        pages: spec.min_order.pages(),
        passes,
    }
}

/// Blocks looked at for a list that was reported in batches.
fn examined(spec: &EngineSpec, made: &Made) -> u64 {
    let from_the_head = spec.walk == Walk::Rewalk || spec.shuffle == Shuffle::Compaction;
    if spec.load == Load::Comb && from_the_head { made.blocks * made.reports / 2 } else { made.blocks }
}

fn outcome(spec: &EngineSpec, trial: u64, wrong: Option<Wrong>) -> EngineOutcome {
    let made = made(spec, wrong);
    let on = spec.reporting == Reporting::On;
    let discards = spec.way.discard == Discard::DontNeed;
    let noise = abi::digest::mix(trial) % 50;
    let reported_pages = made.blocks * made.pages;
    let vcpus = u64::from(spec.vcpus);
    let window = if spec.load.is_timed() { ticks(spec.window) } else { 50_000 * US };
    let report = made.reports * 20 * US + made.blocks * US;
    let touch = (60 + if on && discards { 2 } else { 0 }) * US;
    let operation = (100 + if on { 2 } else { 0 } + if on && discards { 2 } else { 0 }) * US + noise;
    let operations = window / operation;
    let first = |count: u64, vcpu: u64| if vcpu == 0 { count } else { 0 };
    let counters = (0..vcpus)
        .map(|vcpu| {
            let of = |counter: &GuestCounter| match counter {
                GuestCounter::Operations => operations,
                GuestCounter::Pages => operations * spec.unit.pages(),
                GuestCounter::WindowTicks => window,
                GuestCounter::AllocTicks => operations * 10 * US,
                GuestCounter::TouchTicks => operations * touch,
                GuestCounter::FreeTicks => operations * 10 * US,
                GuestCounter::OracleTicks => operations * 5 * US,
                GuestCounter::ReportTicks => first(report, vcpu),
                GuestCounter::WalkTicks => first(report / 10, vcpu),
                GuestCounter::TransportTicks => first(report / 2, vcpu),
                GuestCounter::PutBackTicks => first(report / 10, vcpu),
                GuestCounter::Examined => first(examined(spec, &made), vcpu),
                GuestCounter::Isolated | GuestCounter::Reported => first(made.blocks, vcpu),
                GuestCounter::ReportedPages => first(reported_pages, vcpu),
                GuestCounter::Reports => first(made.reports, vcpu),
                GuestCounter::Passes => first(made.passes.len() as u64, vcpu),
                GuestCounter::Checked => 1000,
                _ => 0,
            };
            GuestCounter::ALL.iter().map(of).collect()
        })
        .collect();
    let calls = if spec.way.carrier == Carrier::Registers { made.blocks } else { made.reports };
    let calls = calls + if wrong == Some(Wrong::Calls) { 10_000 } else { 0 };
    let mut violations = Vec::new();
    if wrong == Some(Wrong::HandedOutTwice) {
        violations.push((abi::violation::Violation::HandedOutTwice, 3));
    }
    EngineOutcome {
        common: Common {
            bell: Bell::Vmcall,
            guest_ring: GuestRing::Zero,
            counter: Counter::Time,
            tsc_khz: 2_000_000,
            placed: super::timed::placed(),
            stale_kicks: 0,
            ring: super::timed::ring(&spec.way, made.reports),
            cpu_ns: Some(1_000_000),
            witness: WitnessKind::Frames,
            splits: None,
            huge_share: 1.0,
            exits: Exits {
                port: if spec.way.servicer == Servicer::Vcpu { calls } else { 0 },
                hypercall: 0,
                mmio: 0,
                control: 3,
                interrupted: 0,
            },
            kvm_stats: Vec::new(),
            madvise_calls: if discards { made.blocks } else { 0 },
            discarded_pages: if discards != (wrong == Some(Wrong::Discards)) { reported_pages } else { 0 },
            madvise_failures: 0,
            madvise_error: None,
            put_off: None,
            userfault: None,
            announced: 0,
            deflated_pages: 0,
            refused: Refused::default(),
            violations,
            elapsed_ns: Some(1_000_000),
        },
        inhibited: Inhibited::No,
        managed: spec.map().managed(),
        counters,
        tallies: tallies(spec, &made),
        began: 500_000,
        ended: 500_000 + window,
        freed: if spec.load.is_timed() { 0 } else { 1_000_000 },
        passes: made.passes,
        curve: if spec.watch.is_some() { curve(spec) } else { Vec::new() },
        settled: settled(spec, wrong),
        idles: 7,
        spent: Spent { fetch: made.blocks * 10, discard: reported_pages * 5, complete: made.reports * 10 },
        looked: Looked {
            pages: if wrong == Some(Wrong::NotLooked) { 0 } else { spec.map().managed() },
            read: 100,
            wrong: if wrong == Some(Wrong::SeenByTheHost) { 2 } else { 0 },
        },
        first_wrong: None,
    }
}

fn tallies(spec: &EngineSpec, made: &Made) -> Vec<Vec<Bucket>> {
    let bucket = |value: u64, count: u64| vec![Bucket { lowest: value, highest: value, count }];
    let a_batch = examined(spec, made) / made.reports.max(1);
    let of = |tally: &Tally| match tally {
        _ if made.reports == 0 => Vec::new(),
        Tally::Examined => bucket(a_batch, made.reports),
        Tally::HoldWalk => bucket(a_batch * 10, made.reports),
        Tally::Report => bucket(20 * US, made.reports),
        Tally::Invisible => bucket(30 * US, made.reports),
        Tally::TouchResident => bucket(60 * US, 900),
        Tally::TouchReported => bucket(90 * US, 100),
        Tally::AllocQuiet => bucket(US, 500),
        Tally::AllocReporting => bucket(2 * US, 50),
        _ => Vec::new(),
    };
    Tally::ALL.iter().map(of).collect()
}

fn curve(spec: &EngineSpec) -> Vec<Point> {
    let all = spec.map().managed() * PAGE_SIZE;
    (0..=20)
        .map(|at| Point { at_ns: at * 1_000_000, resident: all - all / 20 * at, free: all / 20 * at })
        .collect()
}

/// As the machine's costs are.
fn flushed(spec: &EngineSpec, pages: u64) -> Flushed {
    let blocks = pages / spec.min_order.pages();
    let reports = blocks.div_ceil(spec.capacity.into());
    Flushed { ticks: reports * 20 * US + blocks * US, reports, pages }
}

fn settled(spec: &EngineSpec, wrong: Option<Wrong>) -> Vec<Settled> {
    if spec.load.is_timed() {
        return Vec::new();
    }
    let free = spec.map().managed();
    let resident = if wrong == Some(Wrong::Resident) { free / 2 } else { free / 100 };
    let round = |round| Settled {
        round,
        at_ns: round * 10_000_000,
        free,
        resident,
        unmapped: free - resident,
        back: if wrong == Some(Wrong::UnmapsOnly) { 0 } else { free - resident },
        within: 0,
        unknown: if wrong == Some(Wrong::CannotTell) { free - resident } else { 0 },
        reported: free - resident,
        reported_resident: if wrong == Some(Wrong::Kept) { 4 } else { 0 },
        lost: if wrong == Some(Wrong::Lost) { 1 } else { 0 },
        flushed: (spec.load == Load::Flush).then(|| flushed(spec, free - resident)),
    };
    (1..=spec.rounds).map(round).collect()
}
