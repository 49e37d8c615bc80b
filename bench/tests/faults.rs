//! System calls refused, one by one, and what the command makes of it: it ends, in its own words, which name the call,
//! and what it has measured can be read. On the real device; without one only `report` is tried, and where
//! `PAGEHINT_REQUIRE_KVM=1` that is a failure.

#[path = "faults/judge.rs"]
mod judge;
#[path = "faults/refuse.rs"]
mod refuse;
#[path = "faults/table.rs"]
mod table;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use judge::{Ended, Expected, PATIENCE};
use refuse::{Fault, Refuse, Refused};

/// The commands, each as small as it can be with everything in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tried {
    Doctor,
    Compare,
    Engine,
    Report,
}

impl Tried {
    const fn name(self) -> &'static str {
        match self {
            Self::Doctor => "doctor",
            Self::Compare => "compare",
            Self::Engine => "engine",
            Self::Report => "report",
        }
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Doctor | Self::Report => &[],
            // The rung with everything in it: a ring, an eventfd either way, a thread of the device, halt polling.
            Self::Compare => &[
                "--rungs",
                "virtio",
                "--discards",
                "dontneed",
                "--blocks",
                "1",
                "--warmup",
                "0",
                "--reports",
                "8",
                "--out",
            ],
            // A processor and its kin, and the thread that looks on.
            Self::Engine => &[
                "--preset",
                "ring-sync",
                "--vcpus",
                "2",
                "--memory",
                "32M",
                "--delay-ms",
                "1",
                "--warmup-ms",
                "9",
                "--window-ms",
                "60",
                "--watermark",
                "false",
                "--out",
            ],
        }
    }

    /// The command with its arguments, of which a run directory is the last.
    fn command(self, run: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pagehint"));
        command.arg(self.name()).args(self.arguments());
        if self != Self::Doctor {
            command.arg(run);
        }
        command
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They wait more than they run, and nothing is measured.
    arguments.test_threads.get_or_insert(4);
    let missing = if arguments.list { None } else { missing() };
    let of_faults = table::FAULTS.iter().flat_map(|fault| {
        fault.tried.iter().map(|(tried, expected)| {
            let name = format!("{}::{}-{}", tried.name(), fault.name, refuse::errno_name(fault.errno));
            let no_kvm = missing.is_some() && *tried != Tried::Report;
            let test = Trial::test(name, || run(*tried, fault, *expected));
            test.with_ignored_flag(no_kvm).with_kind(if no_kvm { "no KVM" } else { "" })
        })
    });
    let conclusion = libtest_mimic::run(&arguments, of_faults.chain(judge::tests()).collect());
    if let Some(missing) = missing {
        println!("no KVM, only some tests: {missing}");
        if std::env::var_os("PAGEHINT_REQUIRE_KVM").is_some_and(|value| value == "1") {
            println!("PAGEHINT_REQUIRE_KVM=1: that is a failure");
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}

/// Why KVM cannot be had, in the command's own words.
fn missing() -> Option<String> {
    let output = Tried::Doctor.command(Path::new("")).output().ok()?;
    (output.status.code() == Some(77)).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Runs a command with a fault and judges how it ends and what it leaves.
fn run(tried: Tried, fault: &Fault, expected: Expected) -> Result<(), Failed> {
    // What says the error has met it. Of what survives nothing would show that the call is made at all.
    if matches!((expected, &fault.refused), (Expected::Survives, Refused::Call(..))) {
        let place = tempfile::tempdir()?;
        if !begin(tried, fault, Refuse::Deadly, &place.path().join("run"))?.is_killed() {
            return Err("it never makes the call: there is nothing to survive".into());
        }
    }
    let place = tempfile::tempdir()?;
    let run = place.path().join("run");
    let ended = begin(tried, fault, Refuse::WithError, &run)?;
    expected.judge(fault.named, fault.errno, &ended)?;
    if run.exists() { readable(&run) } else { Ok(()) }
}

/// Runs a command with a fault to its end.
fn begin(tried: Tried, fault: &Fault, refuse: Refuse, run: &Path) -> Result<Ended, Failed> {
    if tried == Tried::Report {
        copy_reference(run)?;
    }
    let mut command = tried.command(run);
    // Where the core of one that is ended would go.
    command.current_dir(run.parent().unwrap_or(run));
    fault.inflict(&mut command, refuse)?;
    Ok(Ended::of(command, PATIENCE)?)
}

/// A run that was made elsewhere, as far as a report needs it.
fn copy_reference(run: &Path) -> Result<(), Failed> {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/reference/lab-check");
    fs::create_dir(run)?;
    for name in ["environment.json", "plan.toml", "trials.jsonl", "histograms.hlog"] {
        fs::copy(reference.join(name), run.join(name))?;
    }
    Ok(())
}

/// What is left behind is a run directory, and nothing is left that was only on the way to it.
fn readable(run: &Path) -> Result<(), Failed> {
    let ended = Ended::of(Tried::Report.command(run), PATIENCE)?;
    ended.in_order()?;
    if !["Checks", "had ended when the run stopped"].iter().any(|word| ended.said.contains(word)) {
        return Err(format!("what is left in the run directory cannot be read: {}", ended.said).into());
    }
    let files = fs::read_dir(run)?.collect::<Result<Vec<_>, _>>()?;
    let odd = files.iter().map(fs::DirEntry::file_name).find(|name| !is_ours(name));
    odd.map_or(Ok(()), |name| Err(format!("{} is left behind", name.display()).into()))
}

fn is_ours(name: &OsStr) -> bool {
    let ends = ["json", "toml", "jsonl", "hlog", "md", "html", "csv", "svg"];
    let known = |path: &Path| path.extension().is_some_and(|end| ends.iter().any(|known| end == *known));
    known(Path::new(name)) && !name.as_encoded_bytes().starts_with(b".")
}
