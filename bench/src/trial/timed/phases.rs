//! Where the samples of a trial go: one `HdrHistogram` of fixed size a phase.
//!
//! All of them are allocated, and every page of them touched, before the first trial, and reset between
//! trials. Recording a sample neither allocates nor fails: what is larger than the largest value counts as that.

use abi::axes::Axis;
use hdrhistogram::Histogram;
use host::kvm::Counter;
use host::timed::{Observer, Sample};

use crate::figure::unit::{float, ratio};

/// What a histogram can tell apart.
#[derive(Clone, Copy)]
struct Precision {
    /// Significant decimal digits.
    digits: u8,
    /// The largest value, in ticks.
    max: u64,
    /// Pages that the counts between a power of two and the next fill.
    pages: u64,
}

impl Precision {
    const fn of(counter: Counter) -> Self {
        match counter {
            // A minute and a half at 3 GHz; 1024 counts of 8 bytes to a power of two.
            Counter::Time => Self { digits: 3, max: 1 << 38, pages: 2 },
            // Counts repeat, so that a digit more says something; 16384 counts to a power of two.
            Counter::Instructions => Self { digits: 4, max: 1 << 32, pages: 32 },
        }
    }
}

/// What is recorded of every report. See [`Sample`] for what each means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// The whole report.
    Total,
    /// Guest: ranges into the carrier.
    Prepare,
    /// Doorbell to host thread.
    Transit,
    /// Doorbell's end to device thread.
    Wake,
    /// Host: ranges out of the carrier.
    Fetch,
    /// Host: coalescing and `madvise`.
    Discard,
    /// Host: acknowledgement.
    Complete,
    /// Acknowledgement to guest.
    Resume,
    /// What the phases leave unexplained.
    Remainder,
    /// Guest's view: the doorbell instruction.
    Notify,
    /// Guest's view: from the doorbell's end to the acknowledgement.
    Wait,
    /// Touching the pages of a report once, afterwards.
    Touch,
    /// Touching them again.
    Retouch,
    /// The difference of the two.
    Refault,
    /// The whole report, of the first tenth of a trial's reports.
    FirstTenth,
    /// The whole report, of the last tenth of a trial's reports.
    LastTenth,
}

impl Phase {
    /// The phases that follow one another and add up to the total, the unexplained rest included.
    pub const PARTS: [Self; 8] = [
        Self::Prepare,
        Self::Transit,
        Self::Wake,
        Self::Fetch,
        Self::Discard,
        Self::Complete,
        Self::Resume,
        Self::Remainder,
    ];

    /// The phase in a line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Total => "the whole report, beginning to last acknowledgement",
            Self::Prepare => "guest: ranges into the carrier",
            Self::Transit => "doorbell to host thread (device thread: to the doorbell's end)",
            Self::Wake => "doorbell's end until the device thread runs",
            Self::Fetch => "host: ranges out of the carrier, checked",
            Self::Discard => "host: coalescing and madvise",
            Self::Complete => "host: acknowledgement written, interrupt raised",
            Self::Resume => "acknowledgement until the guest sees it",
            Self::Remainder => "not explained by the phases",
            Self::Notify => "guest's view: the doorbell instruction",
            Self::Wait => "guest's view: doorbell's end to acknowledgement",
            Self::Touch => "later: touching every reported page",
            Self::Retouch => "later: touching them again, resident",
            Self::Refault => "touch minus retouch: bringing the pages back",
            Self::FirstTenth => "the whole report, first tenth of each trial",
            Self::LastTenth => "the whole report, last tenth of each trial",
        }
    }
}

impl Axis for Phase {
    const AXIS: &'static str = "phase";
    const ALL: &'static [Self] = &[
        Self::Total,
        Self::Prepare,
        Self::Transit,
        Self::Wake,
        Self::Fetch,
        Self::Discard,
        Self::Complete,
        Self::Resume,
        Self::Remainder,
        Self::Notify,
        Self::Wait,
        Self::Touch,
        Self::Retouch,
        Self::Refault,
        Self::FirstTenth,
        Self::LastTenth,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Prepare => "prepare",
            Self::Transit => "transit",
            Self::Wake => "wake",
            Self::Fetch => "fetch",
            Self::Discard => "discard",
            Self::Complete => "complete",
            Self::Resume => "resume",
            Self::Remainder => "remainder",
            Self::Notify => "notify",
            Self::Wait => "wait",
            Self::Touch => "touch",
            Self::Retouch => "retouch",
            Self::Refault => "refault",
            Self::FirstTenth => "first-tenth",
            Self::LastTenth => "last-tenth",
        }
    }
}

const PHASES: usize = 16;
const _: () = assert!(Phase::ALL.len() == PHASES);

/// One phase: its histogram, in ticks, and its exact sum.
struct Series {
    histogram: Histogram<u64>,
    sum: u64,
}

/// The histograms of one trial.
pub struct PhaseHistograms {
    series: [Series; PHASES],
    expected: u64,
    seen: u64,
}

impl PhaseHistograms {
    /// Allocates and touches all of them: about 4 MiB, and 40 MiB for the further digit of instructions.
    #[must_use]
    pub fn new(counter: Counter) -> Self {
        let precision = Precision::of(counter);
        let series = std::array::from_fn(|_| Series { histogram: touched(precision), sum: 0 });
        Self { series, expected: 0, seen: 0 }
    }

    /// Empties them for a trial of so many reports.
    pub fn reset(&mut self, expected: u64) {
        for series in &mut self.series {
            series.histogram.reset();
            series.sum = 0;
        }
        self.expected = expected;
        self.seen = 0;
    }

    /// The histogram of a phase, in ticks.
    #[must_use]
    pub fn histogram(&self, phase: Phase) -> &Histogram<u64> {
        &self.series[phase as usize].histogram
    }

    /// The exact mean of a phase, in ticks.
    #[must_use]
    pub fn mean(&self, phase: Phase) -> f64 {
        let series = &self.series[phase as usize];
        ratio(float(series.sum), float(series.histogram.len()))
    }

    /// All of them, by their phase.
    pub fn series(&self) -> impl Iterator<Item = (Phase, &Histogram<u64>)> {
        Phase::ALL.iter().map(|phase| (*phase, self.histogram(*phase)))
    }

    fn record(&mut self, phase: Phase, ticks: u64) {
        let series = &mut self.series[phase as usize];
        series.histogram.saturating_record(ticks);
        series.sum = series.sum.saturating_add(ticks);
    }
}

impl Observer for PhaseHistograms {
    fn sample(&mut self, sample: &Sample) {
        let values = [
            (Phase::Total, sample.total),
            (Phase::Prepare, sample.prepare),
            (Phase::Transit, sample.transit),
            (Phase::Wake, sample.wake),
            (Phase::Fetch, sample.fetch),
            (Phase::Discard, sample.discard),
            (Phase::Complete, sample.complete),
            (Phase::Resume, sample.resume),
            (Phase::Remainder, sample.remainder()),
            (Phase::Notify, sample.notify),
            (Phase::Wait, sample.wait),
            (Phase::Touch, sample.touch),
            (Phase::Retouch, sample.retouch),
            (Phase::Refault, sample.refault()),
        ];
        for (phase, ticks) in values {
            self.record(phase, ticks);
        }
        let tenth = (self.expected / 10).max(1);
        if self.seen < tenth {
            self.record(Phase::FirstTenth, sample.total);
        }
        if self.seen + tenth >= self.expected {
            self.record(Phase::LastTenth, sample.total);
        }
        self.seen += 1;
    }
}

/// An empty histogram whose counts are all in memory: zeroed pages fresh from the kernel would fault in the
/// middle of a trial.
fn touched(precision: Precision) -> Histogram<u64> {
    let mut histogram = empty(precision);
    let mut value = 1;
    while value < precision.max {
        for page in 0..precision.pages {
            histogram.saturating_record(value + value * page / precision.pages);
        }
        value *= 2;
    }
    histogram.reset();
    histogram
}

#[expect(clippy::expect_used, reason = "constant bounds, and a test makes one of each")]
fn empty(precision: Precision) -> Histogram<u64> {
    Histogram::new_with_bounds(1, precision.max, precision.digits).expect("valid bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(total: u64) -> Sample {
        Sample { total, prepare: 10, transit: 20, ranges: 32, touch: 9, retouch: 4, ..Sample::default() }
    }

    #[test]
    fn phases_stand_in_their_own_place() {
        for (index, phase) in Phase::ALL.iter().enumerate() {
            assert_eq!(*phase as usize, index, "{}", phase.name());
        }
    }

    #[test]
    fn samples_are_counted_once_in_every_phase() {
        let mut histograms = PhaseHistograms::new(Counter::Time);
        histograms.reset(100);
        for total in 1..=100 {
            histograms.sample(&sample(total * 1000));
        }
        let tenths = [Phase::FirstTenth, Phase::LastTenth];
        for phase in Phase::ALL {
            let expected = if tenths.contains(phase) { 10 } else { 100 };
            assert_eq!(histograms.histogram(*phase).len(), expected, "{}", phase.name());
        }
        assert_eq!(
            histograms.histogram(Phase::FirstTenth).max(),
            histograms.histogram(Phase::Total).highest_equivalent(10_000)
        );
        assert!(histograms.histogram(Phase::LastTenth).min() > 90_000);
        assert!((histograms.mean(Phase::Total) - 50_500.0).abs() < 1e-9);
        assert!((histograms.mean(Phase::Remainder) - (50_500.0 - 30.0)).abs() < 1e-9);
        assert!((histograms.mean(Phase::Refault) - 5.0).abs() < 1e-9);
        histograms.reset(1);
        assert!(Phase::ALL.iter().all(|phase| histograms.histogram(*phase).is_empty()));
    }

    #[test]
    fn a_single_report_is_in_both_tenths() {
        let mut histograms = PhaseHistograms::new(Counter::Time);
        histograms.reset(1);
        histograms.sample(&sample(7));
        assert_eq!(histograms.histogram(Phase::FirstTenth).len(), 1);
        assert_eq!(histograms.histogram(Phase::LastTenth).len(), 1);
    }

    #[test]
    fn the_absurd_neither_panics_nor_grows() {
        let mut histograms = PhaseHistograms::new(Counter::Time);
        let size = histograms.histogram(Phase::Total).distinct_values();
        histograms.reset(2);
        histograms.sample(&sample(u64::MAX));
        histograms.sample(&sample(0));
        let total = histograms.histogram(Phase::Total);
        assert_eq!((total.len(), total.distinct_values(), total.is_auto_resize()), (2, size, false));
        assert!(total.max() >= Precision::of(Counter::Time).max);
    }

    #[test]
    fn instructions_are_told_apart_one_by_one_up_to_some_ten_thousand() {
        let mut histograms = PhaseHistograms::new(Counter::Instructions);
        histograms.reset(1);
        histograms.sample(&sample(32_767));
        assert_eq!(histograms.histogram(Phase::Total).value_at_quantile(0.5), 32_767);
        histograms.reset(1);
        histograms.sample(&sample(1_594_323));
        assert!(histograms.histogram(Phase::Total).value_at_quantile(0.5).abs_diff(1_594_323) < 64);
    }
}
