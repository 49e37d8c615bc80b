//! A run that has been begun, and is to be seen leaving.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take that is to come soon.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Whoever started the tests may have had signals ignored, as shells do for what runs in their background.
pub(crate) fn pagehint(arguments: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(assert_cmd::cargo::cargo_bin("pagehint"));
    command.args(arguments).stdout(Stdio::piped());
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until it is so.
pub(crate) fn within(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come to be that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Without a usable device there is nothing to see.
pub(crate) fn skip(output: &Output) {
    assert!(std::env::var_os("PAGEHINT_REQUIRE_KVM").is_none(), "{output:?}");
    eprintln!("SKIPPED, no usable KVM: {}", text(&output.stderr));
}

/// A run under way. Dropped, it is killed.
pub(crate) struct Begun {
    child: Option<Child>,
    out: PathBuf,
}

/// Begins a run into `run` of a place.
pub(crate) fn begin(command: &mut Command, place: &Path) -> Option<Begun> {
    let out = place.join("run");
    Begun::of(command.arg("--out").arg(&out), &out)
}

impl Begun {
    /// `None`, visibly, where there is no usable device.
    pub(crate) fn of(command: &mut Command, out: &Path) -> Option<Self> {
        let doctor = pagehint(&["doctor"]).output().unwrap();
        if doctor.status.code() == Some(77) {
            skip(&doctor);
            return None;
        }
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        Some(Self { child: Some(child), out: out.to_owned() })
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child().try_wait().unwrap().is_none()
    }

    pub(crate) fn wait_for_trial(&self) {
        let has_trial = || self.out.join("trials.jsonl").metadata().is_ok_and(|file| file.len() > 0);
        within("a trial has ended", has_trial);
    }

    pub(crate) fn send(&self, signal: Signal) {
        // It has not been waited for: the number is still its own.
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Output {
        within("the run ends", || !self.is_running());
        self.child.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
