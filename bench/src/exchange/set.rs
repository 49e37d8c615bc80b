//! A set: runs of many hosts in one directory, as `pagehint merge` makes it and `pagehint report` reads it.
//!
//! | file | what |
//! |---|---|
//! | `set.jsonl` | a line of what is in it and on which hosts; then a line a run, with a figure a cell |
//! | `histograms.hlog` | a line a host, cell and series: the histograms of all its runs, added up without loss |
//!
//! Both are read a line at a time: what is kept is a figure a run and cell, and a histogram a host and cell.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::cell::Measure;
use crate::SCHEMA_VERSION;
use crate::archive::hlog::{self, HlogError, StreamError};
use crate::archive::{ArchiveError, parse};
use crate::figure::interval::median;
use crate::figure::table::{Column, Grid};
use crate::figure::unit::{Clock, Unit, float, ratio, total};

/// What the file is called that makes a directory a set.
pub const FILE: &str = "set.jsonl";
/// What the tables are called as a file for programs.
pub const CSV: &str = "by-host.csv";

/// The first line: what is in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// Version of this format.
    pub schema_version: u32,
    /// What all figures are in that are a cost.
    pub unit: Unit,
    /// Hosts by their label and clock.
    pub hosts: Vec<Host>,
}

/// Hosts that are called the same and tick alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Host {
    /// What tags in the log begin with.
    pub tag: String,
    /// The host in one line.
    pub host: String,
    /// What a tick of its histograms is.
    #[serde(flatten)]
    pub clock: Clock,
}

/// A run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Version of this format.
    pub schema_version: u32,
    /// The tag of its host.
    pub host: String,
    /// Where it was when it was merged.
    pub run: PathBuf,
    /// When it began, UTC.
    pub date: String,
    /// The revision of pagehint that made it.
    pub revision: String,
    /// Its cells.
    pub cells: Vec<MemberCell>,
    /// What was left out of it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub remarks: Vec<String>,
}

/// A cell of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MemberCell {
    /// What it is called.
    pub cell: String,
    /// What its figure is.
    pub measure: Measure,
    /// Ranges a report stands for.
    pub ranges: u16,
    /// Trials with an outcome.
    pub trials: u64,
    /// Trials that failed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub failed: u64,
    /// Reports.
    pub reports: u64,
    /// The median over its trials, the stopwatch in it; absent if all failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub median: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Why a set cannot be read. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// The system refused.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is damaged, or of another version.
    #[error(transparent)]
    Line(#[from] ArchiveError),
    /// The file ends in the middle, or has nothing in it.
    #[error("{} ends in line {line}, before its end: merge the runs again", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// A run of a host that the first line does not name.
    #[error("line {line} of {} is of a host {host} that its first line does not name: merge the runs again", path.display())]
    NoSuchHost {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The host's tag.
        host: String,
    },
    /// The histograms are damaged.
    #[error("{}: {source}", path.display())]
    Histograms {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        source: HlogError,
    },
}

/// A set, read.
pub struct Set {
    /// What figures are in that are a cost.
    pub unit: Unit,
    /// Its hosts, each under one label, with the number of runs.
    pub hosts: BTreeMap<String, u64>,
    /// What was left out, and of how many runs.
    pub remarks: BTreeMap<String, u64>,
    /// A cell on a host, by the cell and the label.
    cells: BTreeMap<(Measure, String), BTreeMap<String, OnHost>>,
}

/// A cell on hosts of one label.
#[derive(Default)]
struct OnHost {
    runs: Vec<f64>,
    trials: u64,
    failed: u64,
    reports: u64,
    ranges: u16,
    /// What a report took, in the unit of the set.
    report: Option<Histogram<u64>>,
}

impl OnHost {
    fn middle(&self) -> f64 {
        median(&self.runs)
    }

    fn ends(&self) -> [f64; 2] {
        let start = [f64::INFINITY, f64::NEG_INFINITY];
        self.runs.iter().fold(start, |[least, most], figure| [least.min(*figure), most.max(*figure)])
    }

    /// A quantile of what a range cost; `None` where the reports are not known.
    fn quantile(&self, quantile: f64) -> Option<f64> {
        let report = self.report.as_ref().filter(|report| !report.is_empty())?;
        Some(float(report.value_at_quantile(quantile)) / f64::from(self.ranges.max(1)))
    }
}

/// Whether a directory is a set.
#[must_use]
pub fn is_set(directory: &Path) -> bool {
    directory.join(FILE).is_file()
}

impl Set {
    /// Reads a set.
    ///
    /// # Errors
    /// [`SetError`].
    pub fn open(directory: &Path) -> Result<Self, SetError> {
        let path = directory.join(FILE);
        let unreadable = |source| SetError::Read { path: path.clone(), source };
        let mut file = BufReader::new(File::open(&path).map_err(unreadable)?);
        let mut line = Vec::new();
        let (mut head, mut set) = (None::<Head>, None::<Self>);
        for number in 1.. {
            line.clear();
            let length = file.read_until(b'\n', &mut line).map_err(unreadable)?;
            let torn = || SetError::Torn { path: path.clone(), line: number };
            if length == 0 {
                break;
            }
            if !line.ends_with(b"\n") {
                return Err(torn());
            }
            let (Some(head), Some(set)) = (&head, &mut set) else {
                let first: Head = parse(&line, &path, number)?;
                let (hosts, remarks, cells) = Default::default();
                set = Some(Self { unit: first.unit, hosts, remarks, cells });
                head = Some(first);
                continue;
            };
            let member: Member = parse(&line, &path, number)?;
            let label = head.label(&member.host).ok_or_else(|| SetError::NoSuchHost {
                path: path.clone(),
                line: number,
                host: member.host.clone(),
            })?;
            set.add(label, member);
        }
        let (Some(head), Some(mut set)) = (head, set) else { return Err(SetError::Torn { path, line: 1 }) };
        set.read_histograms(directory, &head)?;
        Ok(set)
    }

    fn add(&mut self, label: &str, member: Member) {
        *self.hosts.entry(label.to_owned()).or_default() += 1;
        for remark in member.remarks {
            *self.remarks.entry(remark).or_default() += 1;
        }
        for MemberCell { cell, measure, ranges, trials, failed, reports, median } in member.cells {
            let hosts = self.cells.entry((measure, cell)).or_default();
            let on = hosts.entry(label.to_owned()).or_default();
            on.runs.extend(median);
            on.ranges = ranges;
            for (sum, more) in
                [(&mut on.trials, trials), (&mut on.failed, failed), (&mut on.reports, reports)]
            {
                *sum = total([*sum, more]);
            }
        }
    }

    /// Reports of all clocks of a label together, in their unit: a tick of each is another time.
    fn read_histograms(&mut self, directory: &Path, head: &Head) -> Result<(), SetError> {
        let path = directory.join(hlog::FILE);
        let file = File::open(&path).map_err(|source| SetError::Read { path: path.clone(), source })?;
        let wanted = |_, series: &str| series == "total" || series == "report";
        let take = |_, tag: &str, histogram: &Histogram<u64>| {
            let unknown = || format!("{tag} is nothing that {FILE} has");
            let (host, rest) = tag.split_once('.').ok_or_else(unknown)?;
            let (cell, _) = rest.rsplit_once('.').ok_or_else(unknown)?;
            let host = head.hosts.iter().find(|known| known.tag == host).ok_or_else(unknown)?;
            let of = |measure| Some((measure, cell.to_owned()));
            let keys = [Measure::ARange, Measure::Rate].into_iter().filter_map(of);
            let key = keys.into_iter().find(|key| self.cells.contains_key(key)).ok_or_else(unknown)?;
            let on =
                self.cells.get_mut(&key).and_then(|hosts| hosts.get_mut(&host.host)).ok_or_else(unknown)?;
            let report = on.report.get_or_insert_with(|| hlog::growing(histogram));
            for value in histogram.iter_recorded() {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "ticks are not negative"
                )]
                let figure = host.clock.figure(float(value.value_iterated_to())).round() as u64;
                report.record_n(figure, value.count_at_value()).map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        hlog::stream(BufReader::new(file), wanted, take).map(|_| ()).map_err(|error| match error {
            StreamError::Read(source) => SetError::Read { path, source },
            StreamError::Damaged(source) => SetError::Histograms { path: directory.to_owned(), source },
        })
    }

    /// Runs in it.
    #[must_use]
    pub fn runs(&self) -> u64 {
        total(self.hosts.values().copied())
    }

    /// Trials in it: with an outcome, and failed.
    #[must_use]
    pub fn trials(&self) -> [u64; 2] {
        let sum = |of: fn(&OnHost) -> u64| total(self.cells.values().flat_map(BTreeMap::values).map(of));
        [sum(|on| on.trials), sum(|on| on.failed)]
    }

    /// A table a host and, of several hosts, one of what differs between them.
    #[must_use]
    pub fn tables(&self) -> Vec<Grid> {
        let measures = [Measure::ARange, Measure::Rate];
        let mut tables: Vec<Grid> = Vec::new();
        if self.hosts.len() > 1 {
            tables.extend(measures.iter().filter_map(|measure| self.across(*measure)));
        }
        for (label, runs) in &self.hosts {
            tables.extend(measures.iter().filter_map(|measure| self.on(label, *runs, *measure)));
        }
        tables
    }

    /// The cells of a measure on one host.
    fn on(&self, label: &str, runs: u64, measure: Measure) -> Option<Grid> {
        let rows: Vec<(&String, &OnHost)> =
            self.of(measure).filter_map(|(cell, hosts)| Some((cell, hosts.get(label)?))).collect();
        let show = |figure: f64| measure.show(self.unit, figure);
        let quantile = |(_, on): &(&String, &OnHost), of| {
            on.quantile(of).map_or_else(String::new, |value| self.unit.show(value))
        };
        let columns: [Column<'_, (&String, &OnHost)>; 7] = [
            ("cell", &|(cell, _)| (*cell).clone()),
            (measure.name(), &|(_, on)| show(on.middle())),
            ("least and most of a run", &|(_, on)| on.ends().map(show).join(" to ")),
            ("p99", &|row| quantile(row, 0.99)),
            ("p99.9", &|row| quantile(row, 0.999)),
            ("trials", &|(_, on)| with_failed(on)),
            ("reports", &|(_, on)| on.reports.to_string()),
        ];
        let title = format!("{label}: {runs} run{}", if runs == 1 { "" } else { "s" });
        (!rows.is_empty()).then(|| Grid::of(title, rows, &columns))
    }

    /// What differs between hosts.
    fn across(&self, measure: Measure) -> Option<Grid> {
        let row = |(cell, hosts): (&String, &BTreeMap<String, OnHost>)| {
            let figures: Vec<f64> =
                hosts.values().filter(|on| !on.runs.is_empty()).map(OnHost::middle).collect();
            let (least, most) =
                (figures.iter().copied().reduce(f64::min)?, figures.iter().copied().reduce(f64::max)?);
            let shown = [least, median(&figures), most].map(|figure| measure.show(self.unit, figure));
            let ratio = format!("{:.2}", ratio(most, least));
            Some([vec![cell.clone(), figures.len().to_string()], shown.to_vec(), vec![ratio]].concat())
        };
        let rows: Vec<Vec<String>> = self.of(measure).filter_map(row).collect();
        let header =
            ["cell", "hosts", "least host", "median", "most", "most/least"].map(str::to_owned).to_vec();
        (!rows.is_empty()).then(|| Grid::new(format!("{}, across hosts", measure.name()), header, rows))
    }

    fn of(&self, measure: Measure) -> impl Iterator<Item = (&String, &BTreeMap<String, OnHost>)> {
        self.cells.iter().filter(move |((of, _), _)| *of == measure).map(|((_, cell), hosts)| (cell, hosts))
    }

    /// The same for programs: a line a host and cell.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text =
            "host,cell,measure,unit,runs,trials,failed,reports,median,least,most,p99,p999\n".to_owned();
        for ((measure, cell), hosts) in &self.cells {
            let unit = if *measure == Measure::ARange { self.unit.name() } else { "1/s" };
            for (host, on) in hosts.iter().filter(|(_, on)| !on.runs.is_empty()) {
                let quantile = |of| on.quantile(of).map_or_else(String::new, |value| format!("{value:.1}"));
                let ([least, most], middle) = (on.ends(), on.middle());
                text += &format!(
                    "\"{}\",{cell},{},{unit},{},{},{},{},{middle:.1},{least:.1},{most:.1},{},{}\n",
                    host.replace('"', "'"),
                    measure.name(),
                    on.runs.len(),
                    on.trials,
                    on.failed,
                    on.reports,
                    quantile(0.99),
                    quantile(0.999)
                );
            }
        }
        text
    }
}

impl Head {
    /// Of these hosts.
    #[must_use]
    pub const fn new(unit: Unit, hosts: Vec<Host>) -> Self {
        Self { schema_version: SCHEMA_VERSION, unit, hosts }
    }

    fn label(&self, tag: &str) -> Option<&str> {
        Some(&self.hosts.iter().find(|host| host.tag == tag)?.host)
    }
}

fn with_failed(on: &OnHost) -> String {
    if on.failed == 0 { on.trials.to_string() } else { format!("{} ({} failed)", on.trials, on.failed) }
}
