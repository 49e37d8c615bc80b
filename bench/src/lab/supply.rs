//! How things are fetched: whether they may be at all, and until when.

use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::command::{describe, failure};
use super::error::LabError;
use super::mortal;

/// How often a command that fetches is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Fetches for one user, who may stop it.
pub struct Supply<'a> {
    /// Whether packages may be downloaded, and installed if we are root; else only what is there is used.
    pub allowed: bool,
    /// Raised when somebody wants to stop.
    pub stop: &'a AtomicBool,
    /// Told what is done.
    pub say: &'a mut dyn FnMut(&str),
}

impl Supply<'_> {
    /// Runs a command that may take long and may be ended at any point: it is when somebody wants to stop, and when
    /// this process ends.
    ///
    /// # Errors
    /// [`LabError::Command`] with what it said, [`LabError::Stopped`].
    pub fn fetch(&self, command: &mut Command) -> Result<(), LabError> {
        let failed = || LabError::file(format!("`{}` cannot be run", describe(command)));
        let (mut said, start) = (tempfile::tempfile().map_err(failed())?, failed());
        let errors = said.try_clone().map_err(failed())?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        mortal::dies_with_us(command);
        let mut child = command.spawn().map_err(start)?;
        loop {
            let ended = child.try_wait().map_err(LabError::file("a download cannot be waited for"))?;
            // Relaxed: the flag carries nothing with it.
            match ended {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    let mut text = String::new();
                    // What cannot be read is not shown; the status is.
                    let _ = said.rewind().and_then(|()| said.read_to_string(&mut text));
                    return Err(failure(command, status, &text));
                }
                None if self.stop.load(Ordering::Relaxed) => {
                    // It may just have ended by itself.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(LabError::Stopped);
                }
                None => std::thread::sleep(LOOK),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn fetch(stopped: bool, script: &str) -> Result<(), LabError> {
        let stop = AtomicBool::new(stopped);
        Supply { allowed: true, stop: &stop, say: &mut |_| () }.fetch(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn a_command_that_fails_says_why() {
        fetch(false, "true").unwrap();
        let error = fetch(false, "echo no such package >&2; exit 100").unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("no such package"), "{error}");
    }

    #[test]
    fn a_download_ends_when_somebody_wants_to_stop() {
        let began = Instant::now();
        assert!(matches!(fetch(true, "sleep 60"), Err(LabError::Stopped)));
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
