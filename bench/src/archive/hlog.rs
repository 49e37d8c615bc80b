//! `histograms.hlog`: an `HdrHistogram` V2 interval log, appended to after every trial.
//!
//! Every line is one phase or tally of one trial, tagged by its cell and by what it is: `rung.discard.bBATCH.phase` of a
//! timed one. A comment line before them gives the trial's number, which other programs skip and [`merge`] goes by.
//! Values are ticks, because turning buckets into nanoseconds would round them a second time; `trials.jsonl` has the
//! frequency. Where ticks are instructions nothing tells the time: the stamps that the format wants of every line are 0
//! there. Where something does, the log starts with its first trial: readers pass over what is stamped earlier.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, IntervalLogWriterError, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializeError, V2DeflateSerializer};

use crate::trial::record::TrialRecord;
use crate::trial::spec::{Choices, Series};

/// What the file is called.
pub const FILE: &str = "histograms.hlog";

const TRIAL: &str = "[Trial: ";

/// Writes the head of the log: what its values are, and when its first trial began if anything tells the time.
///
/// # Errors
/// As the writer's.
pub fn begin(out: &mut impl Write, first: &TrialRecord) -> io::Result<()> {
    let mut log = IntervalLogWriterBuilder::new();
    match first.started_s {
        Some(_) => log
            .add_comment(
                "[pagehint: one line a trial and phase or tally; values are ticks of the time stamp counter]",
            )
            .add_comment("[to nanoseconds: value * 1000000 / tsc_khz, which is in trials.jsonl]")
            .with_start_time(UNIX_EPOCH + seconds(first.started_s))
            .with_base_time(UNIX_EPOCH),
        None => log
            .add_comment("[pagehint: one line a trial and phase or tally; values are executed instructions]")
            .add_comment("[nothing tells the time there: start and length of every line are 0]"),
    };
    log.begin_log_with(out, &mut V2DeflateSerializer::new()).map(|_| ())
}

/// Writes the histograms of one trial.
///
/// # Errors
/// As the writer's.
pub fn append<'a>(
    out: &mut impl Write,
    trial: &TrialRecord,
    histograms: impl Iterator<Item = (Series, &'a Histogram<u64>)>,
) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&format!("{TRIAL}{}]", trial.trial))
        .begin_log_with(out, &mut serializer)?;
    let (started, took) = (seconds(trial.started_s), seconds(trial.took_s));
    let cell = trial.choices().tag();
    for (series, histogram) in histograms {
        let tag = format!("{cell}.{}", series.name());
        log.write_histogram(histogram, started, took, Tag::new(&tag)).map_err(io_error)?;
    }
    Ok(())
}

/// The stamp of a line, and of the head alike: no rounding comes between them.
fn seconds(of: Option<f64>) -> Duration {
    Duration::from_secs_f64(of.unwrap_or_default().max(0.0))
}

fn io_error(error: IntervalLogWriterError<V2DeflateSerializeError>) -> io::Error {
    match error {
        IntervalLogWriterError::IoError(error) => error,
        IntervalLogWriterError::SerializeError(error) => io::Error::other(format!("{error:?}")),
    }
}

/// A log that is damaged in the middle.
#[derive(Debug, thiserror::Error)]
#[error(
    "line {line} of {FILE} is no histogram ({what}): the file is damaged; restore it, or remove it together with the run"
)]
pub struct HlogError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// The histograms of a run, trials of the same cell added up, in ticks.
#[derive(Default)]
pub struct Merged {
    /// By cell and what the samples are of.
    pub histograms: BTreeMap<(Choices, Series), Histogram<u64>>,
    /// Lines without a trial to go with, or torn off.
    pub dropped: usize,
}

/// Reads a log and adds up the trials of each cell. Lines of trials that `cells` does not know are counted and
/// left out, and so is a last line without an end: a run that was killed leaves such lines.
///
/// # Errors
/// [`HlogError`] if a line in the middle is no histogram.
pub fn merge(log: &[u8], cells: &BTreeMap<u32, Choices>) -> Result<Merged, HlogError> {
    let mut merged = Merged::default();
    let mut deserializer = Deserializer::new();
    let mut cell = None;
    for (index, line) in log.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let damaged = |what: &str| HlogError { line: index + 1, what: what.to_owned() };
        if !line.ends_with(b"\n") {
            merged.dropped += 1;
            continue;
        }
        if let Some(trial) = trial_comment(line) {
            cell = cells.get(&trial).copied();
            continue;
        }
        let Some(interval) = interval(line).map_err(|what| damaged(&what))? else { continue };
        let Some(cell) = cell else {
            merged.dropped += 1;
            continue;
        };
        let name = interval.series;
        let series =
            cell.series(name).ok_or_else(|| damaged(&format!("{name} is nothing that was measured")))?;
        let histogram = interval.decode(&mut deserializer).map_err(|what| damaged(&what))?;
        let sum = merged.histograms.entry((cell, series)).or_insert_with(|| growing(&histogram));
        sum.add(&histogram).map_err(|error| damaged(&error.to_string()))?;
    }
    Ok(merged)
}

/// A line of a log that has a histogram, not yet decoded.
struct Interval<'a> {
    tag: &'a str,
    series: &'a str,
    encoded: &'a str,
}

/// What a line holds, if it is no comment.
fn interval(line: &[u8]) -> Result<Option<Interval<'_>>, String> {
    let Some(entry) = IntervalLogIterator::new(line).next() else { return Ok(None) };
    match entry.map_err(|_| "not a line of an interval log".to_owned())? {
        LogEntry::Interval(interval) => {
            let tag = interval.tag().ok_or_else(|| "no tag".to_owned())?.as_str();
            let series = tag.rsplit('.').next().unwrap_or_default();
            Ok(Some(Interval { tag, series, encoded: interval.encoded_histogram() }))
        }
        _ => Ok(None),
    }
}

impl Interval<'_> {
    fn decode(&self, deserializer: &mut Deserializer) -> Result<Histogram<u64>, String> {
        let standard = base64::engine::general_purpose::STANDARD;
        let bytes = standard.decode(self.encoded).map_err(|error| error.to_string())?;
        deserializer.deserialize(&mut bytes.as_slice()).map_err(|error| format!("{error:?}"))
    }
}

/// Why a log cannot be gone through.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The system refused.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is damaged.
    #[error(transparent)]
    Damaged(#[from] HlogError),
}

/// Goes through a log without keeping any of it: `take` is given trial, tag and histogram of every line that is `wanted` by
/// its trial and series, and says if there is no use for it. Whether the last line is torn off.
///
/// # Errors
/// [`StreamError`] if it cannot be read, or a line in the middle is no histogram.
pub fn stream(
    mut log: impl BufRead,
    wanted: impl Fn(Option<u32>, &str) -> bool,
    mut take: impl FnMut(Option<u32>, &str, &Histogram<u64>) -> Result<(), String>,
) -> Result<bool, StreamError> {
    let (mut deserializer, mut line, mut trial) = (Deserializer::new(), Vec::new(), None);
    for number in 1.. {
        line.clear();
        if log.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if !line.ends_with(b"\n") {
            return Ok(true);
        }
        if let Some(of) = trial_comment(&line) {
            trial = Some(of);
            continue;
        }
        let damaged = |what| HlogError { line: number, what };
        let Some(interval) = interval(&line).map_err(damaged)? else { continue };
        if wanted(trial, interval.series) {
            let histogram = interval.decode(&mut deserializer).map_err(damaged)?;
            take(trial, interval.tag, &histogram).map_err(damaged)?;
        }
    }
    Ok(false)
}

/// Writes a log of histograms by their tags, of which nothing says when they were: every line is stamped 0.
///
/// # Errors
/// As the writer's.
pub fn write<'a>(
    out: &mut impl Write,
    comments: &[String],
    histograms: impl Iterator<Item = (String, &'a Histogram<u64>)>,
) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new();
    for comment in comments {
        log.add_comment(comment);
    }
    let mut log = log.begin_log_with(out, &mut serializer)?;
    for (tag, histogram) in histograms {
        log.write_histogram(histogram, Duration::ZERO, Duration::ZERO, Tag::new(&tag)).map_err(io_error)?;
    }
    Ok(())
}

fn trial_comment(line: &[u8]) -> Option<u32> {
    let comment = std::str::from_utf8(line).ok()?.strip_prefix('#')?;
    comment.strip_prefix(TRIAL)?.trim_end().strip_suffix(']')?.parse().ok()
}

/// As precise as `like`, but only as large as what is in it: a run has hundreds of these, and nothing is being
/// measured any more.
#[expect(clippy::expect_used, reason = "the precision of a histogram that exists")]
pub fn growing(like: &Histogram<u64>) -> Histogram<u64> {
    Histogram::new(like.sigfig()).expect("valid precision")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::timed as testing;
    use crate::trial::timed::phases::{Phase, PhaseHistograms};
    use abi::axes::Axis;

    fn write(log: &mut Vec<u8>, record: &TrialRecord, histograms: &PhaseHistograms) {
        let series = histograms.series().map(|(phase, histogram)| (Series::Phase(phase), histogram));
        append(log, record, series).unwrap();
    }

    fn log_of(totals: &[u64]) -> (Vec<u8>, BTreeMap<u32, Choices>) {
        let mut log = Vec::new();
        begin(&mut log, &testing::trial(0, 1).0).unwrap();
        let mut cells = BTreeMap::new();
        for (trial, total) in (0..).zip(totals) {
            let (record, histograms) = testing::trial(trial, *total);
            write(&mut log, &record, &histograms);
            cells.insert(trial, record.choices());
        }
        (log, cells)
    }

    #[test]
    fn what_is_written_is_read_back_and_added_up() {
        let (log, cells) = log_of(&[1000, 3000]);
        let merged = merge(&log, &cells).unwrap();
        assert_eq!((merged.histograms.len(), merged.dropped), (Phase::ALL.len(), 0));
        let total = &merged.histograms[&(cells[&0], Series::Phase(Phase::Total))];
        let (_, one) = testing::trial(0, 1000);
        assert_eq!(total.len(), 2 * one.histogram(Phase::Total).len());
        assert!(total.equivalent(total.min(), 1000) && total.equivalent(total.max(), 3000));
        assert!(String::from_utf8(log).unwrap().contains("Tag=hypercall-batch.none.b32.total,"));
    }

    #[test]
    fn a_log_of_instructions_tells_no_time() {
        let mut log = Vec::new();
        let (mut record, histograms) = testing::trial(0, 1000);
        (record.started_s, record.took_s) = (None, None);
        begin(&mut log, &record).unwrap();
        write(&mut log, &record, &histograms);
        let text = String::from_utf8(log).unwrap();
        assert!(text.contains("values are executed instructions"), "{text}");
        assert!(["nanoseconds", "StartTime", "BaseTime"].iter().all(|word| !text.contains(word)), "{text}");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("Tag=")).collect();
        assert_eq!(lines.len(), Phase::ALL.len());
        assert!(lines.iter().all(|line| line.contains(",0.000,0.000,")), "{}", lines[0]);
    }

    #[test]
    fn a_torn_end_and_a_trial_without_a_record_are_left_out() {
        let (mut log, mut cells) = log_of(&[1000, 3000]);
        log.truncate(log.len() - 20);
        let merged = merge(&log, &cells).unwrap();
        assert_eq!(merged.dropped, 1);
        cells.remove(&1);
        let merged = merge(&log, &cells).unwrap();
        assert_eq!(merged.dropped, Phase::ALL.len());
        let total = &merged.histograms[&(cells[&0], Series::Phase(Phase::Total))];
        assert!(total.equivalent(total.max(), 1000));
    }

    #[test]
    fn damage_in_the_middle_is_an_error_with_its_line() {
        let (log, cells) = log_of(&[1000]);
        let text = String::from_utf8(log).unwrap();
        let line = text.lines().position(|line| line.contains("transit")).unwrap();
        for broken in ["HIST", "@@@@"] {
            let damaged: String = text
                .lines()
                .enumerate()
                .map(|(index, l)| {
                    if index == line {
                        l.replace("HIST", broken)[..60].to_owned() + "\n"
                    } else {
                        l.to_owned() + "\n"
                    }
                })
                .collect();
            let error = merge(damaged.as_bytes(), &cells).err().expect("damage is noticed");
            assert_eq!(error.line, line + 1);
        }
    }
}
