//! Writing a run directory while the run goes on.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use crate::archive::{Archive, ArchiveError, file, hlog};
use crate::plan::Plan;
use crate::site::environment::Environment;
use crate::trial::record::TrialRecord;
use crate::trial::spec::Series;

/// Why a run directory cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is something in it.
    #[error("{} is not empty: nothing is overwritten; name another directory with --out", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{} cannot be written: {source}; choose another directory with --out", path.display())]
    Write {
        /// File or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What is made in a place, by us and in this order. Dropped, it is taken away again, and nothing else is.
pub struct Made(Vec<PathBuf>);

impl Made {
    /// A directory, empty or not there.
    ///
    /// # Errors
    /// [`JournalError`] if it cannot be made or has something in it.
    pub fn directory(directory: &Path) -> Result<Self, JournalError> {
        Journal::check_empty(directory)?;
        let missing =
            directory.ancestors().take_while(|there| !there.as_os_str().is_empty() && !there.exists());
        let mut made = missing.map(Path::to_owned).collect::<Vec<_>>();
        made.reverse();
        let made = Self(made);
        fs::create_dir_all(directory).map_err(unwritable(directory))?;
        Ok(made)
    }

    /// A file, as a whole. Who comes second finds the first one's.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn file(&mut self, path: PathBuf, bytes: &[u8]) -> Result<(), JournalError> {
        file::write_new(&path, bytes).map_err(unwritable(&path))?;
        self.0.push(path);
        Ok(())
    }

    /// It stays.
    pub fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // A directory that holds anything by now stays, and so does what cannot be taken away.
            let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
        }
    }
}

/// Of a file or directory.
fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    move |source| match source.kind() {
        io::ErrorKind::AlreadyExists => {
            JournalError::NotEmpty { path: path.parent().unwrap_or(path).to_owned() }
        }
        _ => JournalError::Write { path: path.to_owned(), source },
    }
}

/// A file that grows by whole trials.
struct Log {
    path: PathBuf,
    file: File,
    /// How long it is.
    length: u64,
    /// What could not be written.
    unwritten: Vec<u8>,
}

impl Log {
    fn begin(made: &mut Made, path: PathBuf) -> Result<Self, JournalError> {
        made.file(path.clone(), &[])?;
        let file = File::options().read(true).append(true).open(&path).map_err(unwritable(&path))?;
        Ok(Self { path, file, length: 0, unwritten: Vec::new() })
    }

    /// Writes all of it, or remembers it.
    fn append(&mut self, bytes: Vec<u8>) -> Result<(), JournalError> {
        let length = bytes.len() as u64;
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            self.take_back(bytes);
            unwritable(&self.path)(error)
        })?;
        self.length += length;
        Ok(())
    }

    /// Cuts off what may have been written of these bytes, and remembers them.
    fn take_back(&mut self, bytes: Vec<u8>) {
        // What stays of them all the same has no line among the trials, and is left out where it is read.
        let _ = self.file.set_len(self.length);
        self.unwritten = bytes;
    }

    /// All that was to be written, whatever has become of the file's name.
    fn contents(&self) -> io::Result<Vec<u8>> {
        let mut contents = vec![0; usize::try_from(self.length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut contents, 0)?;
        contents.extend_from_slice(&self.unwritten);
        Ok(contents)
    }
}

/// A run directory open for writing. Dropped before a trial is in it, it is taken away again.
pub struct Journal {
    directory: PathBuf,
    environment: String,
    plan: String,
    trials: Log,
    histograms: Log,
    made: Made,
}

impl Journal {
    /// Whether a run directory can be started here, without starting it.
    ///
    /// # Errors
    /// [`JournalError`] if there is something in it, or in its place.
    fn check_empty(directory: &Path) -> Result<(), JournalError> {
        let filled = match fs::read_dir(directory) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(JournalError::Write { path: directory.to_owned(), source }),
        };
        if filled { Err(JournalError::NotEmpty { path: directory.to_owned() }) } else { Ok(()) }
    }

    /// Whether a run directory can be written here, of which nothing is left yet: before anything is measured for it.
    ///
    /// # Errors
    /// [`JournalError`] if there is something in it, or it cannot be made or written.
    pub fn check_writable(directory: &Path) -> Result<(), JournalError> {
        Self::check_empty(directory)?;
        // Of what is not there the next that is counts: nothing is made that would have to be taken away again.
        let there = directory.ancestors().find(|there| there.exists() || there.as_os_str().is_empty());
        let there = there.filter(|there| !there.as_os_str().is_empty()).unwrap_or(Path::new("."));
        tempfile::tempfile_in(there).map(drop).map_err(unwritable(directory))
    }

    /// Starts a run directory: what is known before the first trial is in it when this returns.
    ///
    /// # Errors
    /// [`JournalError`] if it cannot be made or has something in it.
    pub fn create(directory: &Path, environment: &Environment, plan: &Plan) -> Result<Self, JournalError> {
        let (environment, plan) = (environment.to_json(), plan.to_toml());
        let mut made = Made::directory(directory)?;
        made.file(directory.join(file::ENVIRONMENT), environment.as_bytes())?;
        made.file(directory.join(file::PLAN), plan.as_bytes())?;
        let trials = Log::begin(&mut made, directory.join(file::TRIALS))?;
        let histograms = Log::begin(&mut made, directory.join(hlog::FILE))?;
        Ok(Self { directory: directory.to_owned(), environment, plan, trials, histograms, made })
    }

    /// Writes down a trial that has just ended, and its histograms. Its line in `trials.jsonl` comes
    /// last: a trial that has one has everything.
    ///
    /// # Errors
    /// [`JournalError::Write`]: then it has no line in the directory, and is only in [`Self::archive`].
    pub fn append<'a>(
        &mut self,
        record: &TrialRecord,
        histograms: impl Iterator<Item = (Series, &'a Histogram<u64>)>,
    ) -> Result<(), JournalError> {
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        if record.error().is_none() {
            let head = if self.histograms.length == 0 { hlog::begin(&mut lines, record) } else { Ok(()) };
            head.and_then(|()| hlog::append(&mut lines, record, histograms))
                .map_err(unwritable(&self.histograms.path))?;
        }
        serde_json::to_writer(&mut line, record)
            .map_err(io::Error::from)
            .map_err(unwritable(&self.trials.path))?;
        line.push(b'\n');
        match self.histograms.append(lines) {
            Ok(()) => self.trials.append(line)?,
            Err(error) => {
                self.trials.unwritten = line;
                return Err(error);
            }
        }
        self.made.keep();
        Ok(())
    }

    /// Everything that was measured, also what could not be written.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn archive(&self) -> Result<Archive, ArchiveError> {
        Archive::read(&self.directory, |name| match name {
            file::ENVIRONMENT => Ok(self.environment.clone().into_bytes()),
            file::PLAN => Ok(self.plan.clone().into_bytes()),
            file::TRIALS => self.trials.contents(),
            _ => self.histograms.contents(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::keys::Keys;
    use crate::testing::{plan, timed as testing};

    /// Other programs pass over what is stamped earlier than the log itself.
    #[test]
    fn a_log_starts_with_its_first_trial_whenever_its_file_was_made() {
        let place = tempfile::tempdir().unwrap();
        let plan = plan("ladder", &Keys::default());
        let mut journal = Journal::create(&place.path().join("run"), &testing::environment(), &plan).unwrap();
        for started in [1000.25, 1001.5] {
            let (mut record, histograms) = testing::trial(0, 1000);
            record.started_s = Some(started);
            let series = histograms.series().map(|(phase, histogram)| (Series::Phase(phase), histogram));
            journal.append(&record, series).unwrap();
        }
        let log = fs::read_to_string(journal.directory().join(hlog::FILE)).unwrap();
        let starts: Vec<_> = log.lines().filter(|line| line.contains("StartTime")).collect();
        assert_eq!(starts, ["#[StartTime: 1000.250 (seconds since epoch)]"]);
        let stamped = |at: &str| log.lines().filter(|line| line.contains(&format!(",{at},"))).count();
        assert!(stamped("1000.250") > 0 && stamped("1000.250") == stamped("1001.500"));
    }

    #[test]
    fn looking_whether_a_directory_can_be_written_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let new = place.path().join("new");
        for new in [new.join("deep/er"), new.clone()] {
            Journal::check_writable(&new).unwrap();
        }
        assert!(!new.exists());
        fs::create_dir(&new).unwrap();
        Journal::check_writable(&new).unwrap();
        assert!(new.read_dir().unwrap().next().is_none());
        fs::write(new.join("file"), "").unwrap();
        assert!(matches!(Journal::check_writable(&new), Err(JournalError::NotEmpty { .. })));
        for impossible in [new.join("file/run"), PathBuf::from("/proc/run")] {
            let error = Journal::check_writable(&impossible).unwrap_err();
            assert!(matches!(error, JournalError::Write { .. }), "{error}");
        }
    }

    fn begun(directory: &Path) -> Journal {
        let plan = plan("ladder", &Keys::default());
        Journal::create(directory, &testing::environment(), &plan).unwrap()
    }

    fn append(journal: &mut Journal, trial: u32) -> Result<(), JournalError> {
        let (record, histograms) = testing::trial(trial, 1000);
        let series = histograms.series().map(|(phase, histogram)| (Series::Phase(phase), histogram));
        journal.append(&record, series)
    }

    #[test]
    fn a_run_without_a_trial_is_taken_away_and_nothing_else_is() {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("new/run");
        drop(begun(&run));
        assert!(place.path().read_dir().unwrap().next().is_none());
        fs::create_dir_all(&run).unwrap();
        drop(begun(&run));
        assert!(run.read_dir().unwrap().next().is_none());
        let journal = begun(&run);
        fs::write(run.join("mine"), "precious").unwrap();
        drop(journal);
        let left: Vec<_> = run.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["mine"]);
    }

    #[test]
    fn of_two_at_once_the_first_has_the_directory() {
        let place = tempfile::tempdir().unwrap();
        let mut second = Made::directory(place.path()).unwrap();
        let mut first = begun(place.path());
        let refused = second.file(place.path().join(file::ENVIRONMENT), b"x").unwrap_err();
        assert!(matches!(refused, JournalError::NotEmpty { .. }), "{refused}");
        drop(second);
        append(&mut first, 0).unwrap();
        drop(first);
        assert_eq!(Archive::open(place.path()).unwrap().trials.len(), 1);
    }

    #[test]
    fn a_trial_that_cannot_be_written_is_in_the_archive_all_the_same() {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("run");
        for before in 0..2 {
            let mut journal = begun(&run);
            (0..before).for_each(|trial| append(&mut journal, trial).unwrap());
            // Whatever becomes of the names.
            let there = File::options().read(true).append(true).open(run.join(file::TRIALS)).unwrap();
            let full = File::options().read(true).write(true).open("/dev/full").unwrap();
            let trials = std::mem::replace(&mut journal.trials.file, full);
            append(&mut journal, before).unwrap_err();
            drop(trials);
            journal.trials.file = there;
            let archive = journal.archive().unwrap();
            let reports = archive.merged.histograms.values().next().unwrap().len();
            let of_one = testing::trial(0, 1000).1.series().next().unwrap().1.len();
            assert_eq!(archive.trials.len(), before as usize + 1);
            assert_eq!(reports, of_one * u64::from(before + 1));
            drop(journal);
            assert_eq!(run.exists(), before > 0);
        }
        assert_eq!(Archive::open(&run).unwrap().trials.len(), 1);
    }
}
