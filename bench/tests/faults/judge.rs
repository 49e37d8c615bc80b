//! How a command may end with a fault, and how it may not.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

/// A command that takes longer than this hangs: it has a few seconds of work, and longer than its own longest deadline.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// What a command is to make of a fault.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    /// It fails, and names the call and the error.
    Fails,
    /// It fails for what follows from the fault, and names that.
    Refuses,
    /// It does what it can, and names the call and the error.
    Says,
    /// It does without.
    Survives,
}

/// How a command ended.
pub(crate) struct Ended {
    /// `None` if it had to be ended.
    status: Option<ExitStatus>,
    /// On both outputs.
    pub(crate) said: String,
}

impl Ended {
    /// Runs a command that may take so long.
    pub(crate) fn of(mut command: Command, patience: Duration) -> io::Result<Self> {
        let (mut reader, writer) = io::pipe()?;
        let mut child = command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).spawn()?;
        // It holds the other end of the pipe.
        drop(command);
        // Nothing is ever sent: it is dropped when the outputs are closed, which is when the command ends.
        let (tell, told) = channel::<()>();
        let listener = thread::spawn(move || {
            let mut said = Vec::new();
            let _tell = tell;
            reader.read_to_end(&mut said).map(|_| String::from_utf8_lossy(&said).into_owned())
        });
        let hangs = told.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
        if hangs {
            child.kill()?;
        }
        let status = child.wait()?;
        let said = listener.join().map_err(|_| io::Error::other("the listener panicked"))??;
        Ok(Self { status: (!hangs).then_some(status), said })
    }

    /// Whether a filter has ended it.
    pub(crate) fn is_killed(&self) -> bool {
        self.status.and_then(|status| status.signal()) == Some(libc::SIGSYS)
    }

    /// That it ended by itself, of its own will and in its own words: with which code.
    pub(crate) fn in_order(&self) -> Result<i32, Failed> {
        let said = &self.said;
        let status = self.status.ok_or_else(|| format!("it hangs: {said}"))?;
        if said.contains("panicked") {
            return Err(format!("it panics: {said}").into());
        }
        Ok(status.code().ok_or_else(|| format!("it is ended by a signal, {status}: {said}"))?)
    }
}

impl Expected {
    /// Whether a command with a fault that has this name and this error ended as it should.
    pub(crate) fn judge(self, named: &str, errno: libc::c_int, ended: &Ended) -> Result<(), Failed> {
        let code = ended.in_order()?;
        let error = format!("(os error {errno})");
        let (may_be, words): (&[i32], &[&str]) = match self {
            Self::Fails => (&[1, 77], &[named, &error]),
            Self::Refuses => (&[1, 2], &[named]),
            Self::Says => (&[0], &[named, &error]),
            Self::Survives => (&[0], &[]),
        };
        // A sentence may have been broken into lines anywhere.
        let said = ended.said.split_whitespace().collect::<Vec<_>>().join(" ");
        if !may_be.contains(&code) {
            return Err(format!("it ends with {code}: {}", ended.said).into());
        }
        match words.iter().find(|word| !said.contains(**word)) {
            Some(unsaid) => Err(format!("it does not say {unsaid:?}: {}", ended.said).into()),
            None => Ok(()),
        }
    }
}

/// That the judge finds fault with each, and with nothing else.
pub(crate) fn tests() -> impl Iterator<Item = Trial> {
    let cases: [(&str, &str, Expected, Option<&str>); 8] = [
        ("a-hang", "sleep 60", Expected::Fails, Some("it hangs")),
        ("a-panic", "echo \"'main' panicked\"; exit 101", Expected::Fails, Some("it panics")),
        ("a-signal", "kill -ABRT $$", Expected::Fails, Some("ended by a signal")),
        ("an-error-that-names-no-call", "echo '(os error 13)'; exit 1", Expected::Fails, Some("\"madvise\"")),
        ("an-error-without-its-number", "echo madvise; exit 1", Expected::Fails, Some("os error 13")),
        ("a-failure-that-is-none", "echo 'madvise (os error 13)'", Expected::Fails, Some("ends with 0")),
        ("a-failure-of-what-survives", "exit 1", Expected::Survives, Some("ends with 1")),
        ("a-good-end", "echo 'madvise (os error 13)'; exit 77", Expected::Fails, None),
    ];
    cases.into_iter().map(|(name, script, expected, fault)| {
        Trial::test(format!("judge::{name}"), move || {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("exec 2>&1; {script}")]);
            let ended = Ended::of(shell, Duration::from_secs(1))?;
            let found = expected
                .judge("madvise", libc::EACCES, &ended)
                .err()
                .and_then(|failed| failed.message().map(str::to_owned));
            match (found, fault) {
                (None, None) => Ok(()),
                (Some(found), Some(fault)) if found.contains(fault) => Ok(()),
                (found, _) => Err(format!("{found:?}").into()),
            }
        })
    })
}
