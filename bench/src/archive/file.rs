//! Files of a run directory: what those are called that are written while the run goes on, and how a file comes to be
//! there as a whole. The histograms are [`super::hlog::FILE`].

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

/// Where the run took place.
pub const ENVIRONMENT: &str = "environment.json";
/// What was to be run.
pub const PLAN: &str = "plan.toml";
/// A line a trial.
pub const TRIALS: &str = "trials.jsonl";

/// Writes a file, in place of the one that may be there. Whoever looks sees the old one or all of the new one; if it
/// cannot be written, the old one stays.
///
/// # Errors
/// As the system's.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Ok(beside(path, bytes)?.persist(path).map(drop)?)
}

/// The same of a file that is not there yet.
///
/// # Errors
/// As the system's; of two at once one gets [`io::ErrorKind::AlreadyExists`].
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Ok(beside(path, bytes)?.persist_noclobber(path).map(drop)?)
}

/// All of a file, on the disk, under a name of its own beside the one it is for. Dropped, it is gone.
fn beside(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As any new file's: less what the umask takes.
    let everyones = Permissions::from_mode(0o666);
    let file = tempfile::Builder::new().permissions(everyones).tempfile_in(directory)?;
    file.as_file().write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_may_be_read_by_whom_any_new_file_may() {
        let place = tempfile::tempdir().unwrap();
        let [path, plain] = ["file", "plain"].map(|name| place.path().join(name));
        write_new(&path, b"old").unwrap();
        assert_eq!(write_new(&path, b"new").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let old = fs::File::open(&path).unwrap();
        write(&path, b"newer").unwrap();
        assert_eq!(io::read_to_string(old).unwrap(), "old", "who reads the old one reads on");
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("directory")).unwrap();
        write(&place.path().join("directory"), b"x").unwrap_err();
        write_new(&place.path().join("directory"), b"x").unwrap_err();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
