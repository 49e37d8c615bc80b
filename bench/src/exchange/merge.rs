//! Runs of many hosts into one set. Memory does not grow with them: of a trial nothing is kept but its figure, until its
//! run is done, and of a host one histogram a cell and series, until its runs are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hdrhistogram::Histogram;

use super::cell::{Measure, names};
use super::set::{self, Head, Host, Member, MemberCell};
use crate::SCHEMA_VERSION;
use crate::archive::{ArchiveError, hlog, passing};
use crate::figure::interval::median;
use crate::figure::unit::{Clock, Unit, total};
use crate::trial::spec::Choices;

/// Which histograms a set keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// Those of whole reports: what its tables show.
    Reports,
    /// Those of every phase and tally.
    Every,
}

/// Why there is no set. Nothing of one is left then.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A run cannot be read.
    #[error(transparent)]
    Run(#[from] ArchiveError),
    /// Figures that cannot stand beside each other.
    #[error("{} is in {}, {} in {}: make a set of each", first.display(), of_first.name(), other.display(), of_other.name())]
    Units {
        /// A run.
        first: PathBuf,
        /// What it is in.
        of_first: Unit,
        /// Another run.
        other: PathBuf,
        /// What that is in.
        of_other: Unit,
    },
    /// A run twice.
    #[error("{} is named twice: its trials would be counted twice", path.display())]
    Twice {
        /// The run.
        path: PathBuf,
    },
    /// It would be written over something.
    #[error("{} is not empty: nothing is overwritten; name another directory", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// Histograms that cannot be added up.
    #[error("the histograms of {} cannot be added to those of its host: {what}", path.display())]
    Add {
        /// The run.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// The system refused.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A run, as far as it is known before it is read.
struct Known {
    path: PathBuf,
    date: String,
    revision: String,
}

/// Runs by the label of their host and its clock.
type Hosts = BTreeMap<(String, String), (Clock, Vec<Known>)>;

/// Histograms by cell and series.
type Histograms = BTreeMap<String, Histogram<u64>>;

/// Makes a set of runs in a directory that is not there yet, or is empty.
///
/// # Errors
/// [`MergeError`]; nothing is left then.
pub fn merge(out: &Path, runs: &[PathBuf], kept: Kept) -> Result<Head, MergeError> {
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| MergeError::Write { path, source }
    };
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(MergeError::NotEmpty { path: out.to_owned() });
    }
    let (hosts, unit) = by_host(runs)?;
    let told = hosts.iter().enumerate().map(|(at, ((host, _), (clock, _)))| Host {
        tag: format!("h{at}"),
        host: host.clone(),
        clock: *clock,
    });
    let head = Head::new(unit, told.collect());
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(unwritable(parent))?;
    // As any new directory's: less what the umask takes.
    let everyones = Permissions::from_mode(0o777);
    let stage = tempfile::Builder::new().prefix(".merge").permissions(everyones).tempdir_in(parent);
    let stage = stage.map_err(unwritable(parent))?;
    write(stage.path(), &head, hosts.into_values(), kept)?;
    fs::rename(stage.path(), out).map_err(unwritable(out))?;
    // It is elsewhere now, and not to be taken away.
    let _ = stage.keep();
    Ok(head)
}

/// Runs by the label of their host and, of those, by their clock: ticks of one frequency add up without loss.
fn by_host(runs: &[PathBuf]) -> Result<(Hosts, Unit), MergeError> {
    let mut hosts = Hosts::new();
    let (mut seen, mut first) = (BTreeSet::new(), None);
    for path in runs {
        if !seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())) {
            return Err(MergeError::Twice { path: path.clone() });
        }
        let environment = passing::environment(path)?;
        let clock = environment.kvm.clock;
        let (before, unit) = first.get_or_insert_with(|| (path.clone(), clock.unit()));
        if *unit != clock.unit() {
            let (first, of_first) = (before.clone(), *unit);
            return Err(MergeError::Units { first, of_first, other: path.clone(), of_other: clock.unit() });
        }
        let known = Known { path: path.clone(), date: environment.date, revision: environment.revision };
        let key = (environment.host, format!("{clock:?}"));
        hosts.entry(key).or_insert_with(|| (clock, Vec::new())).1.push(known);
    }
    Ok((hosts, first.map_or(Unit::Nanoseconds, |(_, unit)| unit)))
}

fn write(
    directory: &Path,
    head: &Head,
    hosts: impl Iterator<Item = (Clock, Vec<Known>)>,
    kept: Kept,
) -> Result<(), MergeError> {
    let [lines, log] = [set::FILE, hlog::FILE].map(|name| directory.join(name));
    let failed = |path: &Path, source| MergeError::Write { path: path.to_owned(), source };
    let create = |path: &Path| File::create(path).map(BufWriter::new).map_err(|source| failed(path, source));
    let (mut set, mut histograms) = (create(&lines)?, create(&log)?);
    write_line(&mut set, head).map_err(|source| failed(&lines, source))?;
    for (host, (clock, runs)) in head.hosts.iter().zip(hosts) {
        let (members, sums) = of_host(&host.tag, clock, &runs, kept)?;
        members
            .iter()
            .try_for_each(|member| write_line(&mut set, member))
            .map_err(|source| failed(&lines, source))?;
        let tag = |(series, histogram)| (format!("{}.{series}", host.tag), histogram);
        let comments = [format!("[{}: {}; values are ticks of {clock:?}]", host.tag, host.host)];
        hlog::write(&mut histograms, &comments, sums.iter().map(tag))
            .map_err(|source| failed(&log, source))?;
    }
    for (mut file, path) in [(set, &lines), (histograms, &log)] {
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(|source| failed(path, source))?;
    }
    Ok(())
}

fn write_line(out: &mut impl Write, line: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// The runs of a host, in their order, and their histograms together: a thread a processor, each with sums of its own.
fn of_host(
    tag: &str,
    clock: Clock,
    runs: &[Known],
    kept: Kept,
) -> Result<(Vec<Member>, Histograms), MergeError> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new((BTreeMap::new(), Histograms::new())));
    let work = || -> Result<(), MergeError> {
        let (mut members, mut sums) = (Vec::new(), Histograms::new());
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(run) = runs.get(at)
        {
            members.push((at, of_run(tag, clock, run, kept, &mut sums)?));
        }
        let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        done.0.extend(members);
        let path = || runs.first().map(|run| run.path.clone()).unwrap_or_default();
        sums.iter()
            .try_for_each(|(series, histogram)| add(&mut done.1, series, histogram))
            .map_err(|what| MergeError::Add { path: path(), what })
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(runs.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    let (members, sums) = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((members.into_values().collect(), sums))
}

fn add(sums: &mut Histograms, series: &str, histogram: &Histogram<u64>) -> Result<(), String> {
    if let Some(sum) = sums.get_mut(series) {
        return sum.add(histogram).map_err(|error| error.to_string());
    }
    let mut sum = hlog::growing(histogram);
    sum.add(histogram).map_err(|error| error.to_string())?;
    sums.insert(series.to_owned(), sum);
    Ok(())
}

/// What is gathered of a cell while its run is read.
#[derive(Default)]
struct Gathered {
    figures: Vec<f64>,
    failed: u64,
    reports: u64,
}

fn of_run(
    tag: &str,
    clock: Clock,
    run: &Known,
    kept: Kept,
    sums: &mut Histograms,
) -> Result<Member, MergeError> {
    let mut cells: BTreeMap<Choices, Gathered> = BTreeMap::new();
    let mut trials: BTreeMap<u32, Choices> = BTreeMap::new();
    let torn = passing::trials(&run.path, clock, |passed| {
        if !is_a_cell(&passed.choices) {
            return;
        }
        let cell = cells.entry(passed.choices).or_default();
        match passed.showed {
            Some(showed) => {
                trials.insert(passed.trial, passed.choices);
                cell.figures.push(showed.figure / f64::from(ranges(&passed.choices)));
                cell.reports = total([cell.reports, showed.reports]);
            }
            None => cell.failed += 1,
        }
    })?;
    let choices: Vec<Choices> = cells.keys().copied().collect();
    let named: BTreeMap<Choices, String> =
        choices.iter().copied().zip(names(&choices, Choices::tag, ".")).collect();
    let wanted = |trial: u32, series: &str| {
        trials.contains_key(&trial) && (kept == Kept::Every || series == "total" || series == "report")
    };
    let missing = passing::histograms(&run.path, wanted, |trial, series, histogram| {
        let cell = trials.get(&trial).and_then(|choices| named.get(choices)).map_or("", String::as_str);
        add(sums, &format!("{cell}.{series}"), histogram)
    })?;
    let cell = |(choices, gathered): (Choices, Gathered)| MemberCell {
        cell: named.get(&choices).cloned().unwrap_or_default(),
        measure: Measure::of(&choices),
        ranges: ranges(&choices),
        trials: gathered.figures.len() as u64,
        failed: gathered.failed,
        reports: gathered.reports,
        median: (!gathered.figures.is_empty()).then(|| median(&gathered.figures)),
    };
    Ok(Member {
        schema_version: SCHEMA_VERSION,
        host: tag.to_owned(),
        run: run.path.clone(),
        date: run.date.clone(),
        revision: run.revision.clone(),
        cells: cells.into_iter().map(cell).collect(),
        remarks: torn.into_iter().chain(missing).collect(),
    })
}

/// Those that weigh the stopwatch are none: they measure the harness.
fn is_a_cell(choices: &Choices) -> bool {
    if let Choices::Timed(choices) = choices { choices.times_reports() } else { true }
}

fn ranges(choices: &Choices) -> u16 {
    if let Choices::Timed(choices) = choices { choices.ranges_a_report().max(1) } else { 1 }
}
