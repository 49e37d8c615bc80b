//! Writing a run directory while the run goes on.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use crate::archive::file;
use crate::archive::hlog;
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

/// A run directory open for writing.
pub struct Journal {
    directory: PathBuf,
    trials: File,
    histograms: File,
}

impl Journal {
    /// Whether a run directory can be started here, without starting it.
    ///
    /// # Errors
    /// [`JournalError`] if there is something in it, or in its place.
    pub fn check_empty(directory: &Path) -> Result<(), JournalError> {
        let filled = match fs::read_dir(directory) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(JournalError::Write { path: directory.to_owned(), source }),
        };
        if filled { Err(JournalError::NotEmpty { path: directory.to_owned() }) } else { Ok(()) }
    }

    /// Whether a run directory can be written here, of which nothing is left yet: for a run whose files come only at
    /// its end.
    ///
    /// # Errors
    /// [`JournalError`] if there is something in it, or it cannot be made or written.
    pub fn check_writable(directory: &Path) -> Result<(), JournalError> {
        let failed = |source| JournalError::Write { path: directory.to_owned(), source };
        Self::check_empty(directory)?;
        // Of what is not there the next that is counts: nothing is made that would have to be taken away again.
        let there = directory.ancestors().find(|there| there.exists() || there.as_os_str().is_empty());
        let there = there.filter(|there| !there.as_os_str().is_empty()).unwrap_or(Path::new("."));
        tempfile::tempfile_in(there).map(drop).map_err(failed)
    }

    /// Starts a run directory: what is known before the first trial is in it when this returns.
    ///
    /// # Errors
    /// [`JournalError`] if it cannot be made or has something in it.
    pub fn create(directory: &Path, environment: &Environment, plan: &Plan) -> Result<Self, JournalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Write { path, source }
        };
        Self::check_empty(directory)?;
        fs::create_dir_all(directory).map_err(failed(directory))?;
        let path = directory.join(file::ENVIRONMENT);
        fs::write(&path, environment.to_json()).map_err(failed(&path))?;
        let path = directory.join(file::PLAN);
        fs::write(&path, plan.to_toml()).map_err(failed(&path))?;
        let path = directory.join(file::TRIALS);
        let trials = File::create(&path).map_err(failed(&path))?;
        let path = directory.join(hlog::FILE);
        let histograms = File::create(&path).map_err(failed(&path))?;
        Ok(Self { directory: directory.to_owned(), trials, histograms })
    }

    /// Writes down a trial that has just ended, and its histograms. Its line in `trials.jsonl` comes
    /// last: a trial that has one has everything.
    ///
    /// # Errors
    /// [`JournalError::Write`].
    pub fn append<'a>(
        &mut self,
        record: &TrialRecord,
        histograms: impl Iterator<Item = (Series, &'a Histogram<u64>)>,
    ) -> Result<(), JournalError> {
        let failed = |name: &str| {
            let path = self.directory.join(name);
            move |source| JournalError::Write { path, source }
        };
        if record.error().is_none() {
            let mut lines = Vec::new();
            self.histograms
                .stream_position()
                .and_then(|at| if at == 0 { hlog::begin(&mut lines, record) } else { Ok(()) })
                .and_then(|()| hlog::append(&mut lines, record, histograms))
                .and_then(|()| self.histograms.write_all(&lines))
                .and_then(|()| self.histograms.sync_data())
                .map_err(failed(hlog::FILE))?;
        }
        let mut line = serde_json::to_vec(record).map_err(io::Error::from).map_err(failed(file::TRIALS))?;
        line.push(b'\n');
        self.trials.write_all(&line).and_then(|()| self.trials.sync_data()).map_err(failed(file::TRIALS))
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
}
