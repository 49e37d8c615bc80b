//! The lab as a user meets it. It needs an emulator and a kernel that have been fetched (`make lab`); without them
//! these tests are listed as ignored, and fail where `PAGEHINT_REQUIRE_LAB=1` says that they must run.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

/// A small ladder: both ends, each once.
const SMALL: &[&str] = &[
    "--plan",
    "lab-check",
    "--rungs",
    "hypercall-each,hypercall-batch,virtio",
    "--warmup",
    "2",
    "--reports",
    "4",
];
/// How long a process may take to go away once it has been told to.
const PATIENCE: Duration = Duration::from_secs(20);

type Checked = Result<(), Failed>;
type Test = fn() -> Checked;

fn main() {
    let arguments = Arguments::from_args();
    let tests: &[(&str, Test)] = &[
        ("two-runs-of-a-seed-are-the-same", two_runs_are_the_same),
        ("a-program-ends-as-it-would-here", a_program_ends_as_here),
        ("a-program-that-crashes-ends-as-it-would-here", a_program_ends_by_signal_as_here),
        ("a-lab-that-nobody-listens-to-ends", nobody_listens),
        ("a-directory-that-cannot-be-written-is-refused-first", unwritable_out_is_refused_first),
        ("a-lab-that-hangs-is-ended-at-its-deadline", hung_lab_is_ended),
        ("a-lab-that-is-killed-leaves-nothing", || leaves_nothing("KILL", &["--clock", "wall"])),
        ("a-lab-that-is-stopped-leaves-nothing", || leaves_nothing("TERM", &["--clock", "wall"])),
        ("an-intel-lab-that-is-killed-leaves-nothing", || leaves_nothing("KILL", &["--cpu", "intel"])),
        ("an-intel-lab-that-is-stopped-leaves-nothing", || leaves_nothing("TERM", &["--cpu", "intel"])),
        ("linux-reports-through-its-own-driver", linux_reports),
        ("a-reference-of-the-other-processor-is-refused-first", other_processors_reference_is_refused),
    ];
    let missing = if arguments.list { None } else { missing() };
    let required = std::env::var_os("PAGEHINT_REQUIRE_LAB").is_some_and(|value| value == "1");
    let trials = tests.iter().map(|(name, test)| match (&missing, required) {
        (None, _) => Trial::test(*name, test),
        (Some(why), true) => {
            let why = why.clone();
            Trial::test(*name, move || Err(why.into()))
        }
        (Some(why), false) => Trial::test(*name, || Ok(())).with_ignored_flag(true).with_kind(why),
    });
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn lab(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagehint"));
    command.args(["lab", "--offline"]).args(arguments).stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> Result<Output, Failed> {
    Ok(command.output()?)
}

/// Why the lab cannot be had with either processor, in its own words.
fn missing() -> Option<String> {
    let refused = |cpu: &[&str]| {
        // Whether it is there is known before it has booted.
        let program = ["--deadline", "1", "--", "/bin/true"];
        let output = lab(cpu).args(program).output().ok()?;
        (output.status.code() == Some(77)).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
    };
    refused(&[]).or_else(|| refused(&["--cpu", "intel"]))
}

fn expect(what: &str, holds: bool, output: &Output) -> Checked {
    if holds { Ok(()) } else { Err(format!("{what}: {output:?}").into()) }
}

fn two_runs_are_the_same() -> Checked {
    let place = tempfile::tempdir()?;
    let run = |name: &str| -> Result<PathBuf, Failed> {
        let directory = place.path().join(name);
        let output = output(lab(SMALL).arg("--out").arg(&directory))?;
        expect("it ends well", output.status.success(), &output)?;
        Ok(directory)
    };
    let (one, two) = (run("one")?, run("two")?);
    for file in ["summary.json", "percentiles.csv", "trials.jsonl", "plan.toml"] {
        if fs::read(one.join(file))? != fs::read(two.join(file))? {
            return Err(format!("{file} of two runs of the same seed differ").into());
        }
    }
    let text = |file: &str| fs::read_to_string(one.join(file));
    let holds = [
        ("the unit is instructions", text("summary.json")?.contains("\"unit\": \"instructions\"")),
        ("the hypercall is real", text("environment.json")?.contains("\"calls_by_port\": false")),
        ("the lab is named", text("environment.json")?.contains("\"kernel_package\"")),
        ("the report speaks of instructions", text("report.md")?.contains(" instr ")),
        ("and of no time", !text("report.md")?.contains(" µs") && !text("report.md")?.contains(" ns")),
    ];
    match holds.iter().find(|(_, holds)| !holds) {
        Some((what, _)) => Err(format!("it does not hold that {what}").into()),
        None => Ok(()),
    }
}

/// A stock kernel as a guest of the lab's machine: everybody counts the same pages, and those are gone.
fn linux_reports() -> Checked {
    let place = tempfile::tempdir()?;
    let out = place.path().join("run");
    let output = output(lab(&["linux", "--quick"]).arg("--out").arg(&out))?;
    expect("all its checks hold", output.status.success(), &output)?;
    let text = fs::read_to_string(out.join("trials.jsonl"))?;
    let trial: serde_json::Value = serde_json::from_str(&text)?;
    let (told, account) = (trial["in_all"]["told_pages"].as_u64(), &trial["account"]);
    expect("the guest counts as we do", told == trial["guest_pages"].as_u64(), &output)?;
    // Its 32 MiB, and most of the rest, which it never used.
    let gone = account["gone"].as_u64();
    expect("what it freed is gone", gone.is_some_and(|gone| gone > 32 << 8), &output)?;
    expect("nothing has stayed", account["stayed"].as_u64() == Some(0), &output)
}

fn a_program_ends_as_here() -> Checked {
    let program =
        ["--clock", "wall", "--", "/bin/sh", "-c", "echo here is $0; echo and there >&2; exit 7", "x"];
    let output = output(&mut lab(&program))?;
    let said = String::from_utf8_lossy(&output.stdout);
    expect("its exit code is ours", output.status.code() == Some(7), &output)?;
    expect("it is heard", said.contains("here is x\n") && said.contains("and there\n"), &output)
}

fn a_program_ends_by_signal_as_here() -> Checked {
    let output = output(&mut lab(&["--clock", "wall", "--", "sh", "-c", "printf unended; kill -SEGV $$"]))?;
    expect("its exit code is a shell's", output.status.code() == Some(128 + 11), &output)?;
    expect("what it said is all there is", output.stdout == b"unended\n", &output)
}

fn nobody_listens() -> Checked {
    let mut command = lab(&["--clock", "wall", "--", "/bin/sh", "-c", "while :; do echo x; done"]);
    let mut lab = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut first = [0];
    lab.stdout.take().ok_or("no pipe")?.read_exact(&mut first)?;
    let status = within(|| lab.try_wait().ok().flatten());
    let _ = lab.kill();
    let _ = lab.wait();
    match status.and_then(|status| status.code()) {
        // As the program's own would be here, by SIGPIPE.
        Some(141) => Ok(()),
        other => Err(format!("the lab goes on, or ends otherwise, when nobody listens: {other:?}").into()),
    }
}

fn unwritable_out_is_refused_first() -> Checked {
    let began = Instant::now();
    let output = output(lab(SMALL).args(["--deadline", "3", "--out", "/proc/none"]))?;
    let said = String::from_utf8_lossy(&output.stderr);
    expect("it says so", said.contains("/proc/none cannot be written"), &output)?;
    expect("at once", began.elapsed() < Duration::from_secs(3) && !said.contains("trials"), &output)
}

fn hung_lab_is_ended() -> Checked {
    let began = Instant::now();
    let hung =
        ["--clock", "wall", "--deadline", "8", "--", "/bin/sh", "-c", "echo last words; while :; do :; done"];
    let output = output(&mut lab(&hung))?;
    let said = String::from_utf8_lossy(&output.stderr);
    expect("it fails", output.status.code() == Some(1), &output)?;
    expect("it says so", said.contains("within 8 s") && said.contains("last words"), &output)?;
    expect("in time", began.elapsed() < Duration::from_secs(8) + PATIENCE, &output)
}

fn other_processors_reference_is_refused() -> Checked {
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/reference/lab-check");
    let (began, place) = (Instant::now(), tempfile::tempdir()?);
    let mut command = lab(&["--cpu", "intel", "--plan", "lab-check", "--against", reference, "--out"]);
    let output = output(command.arg(place.path().join("run")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    expect("it says so", said.contains("the reference is of KVM's svm"), &output)?;
    expect("at once", began.elapsed() < Duration::from_secs(3) && !said.contains("trials"), &output)
}

/// Ends a lab in the middle with a signal: no emulator runs on, and no file is left, nor a lock of one.
fn leaves_nothing(signal: &str, choices: &[&str]) -> Checked {
    let files = tempfile::tempdir()?;
    // It never ends by itself: that it is gone is our doing.
    let mut command = lab(choices);
    command.args(["--", "/bin/sh", "-c", "while :; do :; done"]);
    command.env("TMPDIR", files.path()).current_dir(files.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut lab = command.spawn()?;
    let emulator = within(|| child_of(&lab)).ok_or("no emulator was started")?;
    // It has begun to boot.
    std::thread::sleep(Duration::from_millis(500));
    Command::new("kill").args([format!("-{signal}"), lab.id().to_string()]).status()?;
    let number = if signal == "KILL" { 9 } else { 15 };
    if lab.wait()?.signal() != Some(number) {
        return Err(format!("it was ended by SIG{signal}, and says otherwise").into());
    }
    let gone = within(|| (!Path::new("/proc").join(emulator.to_string()).exists()).then_some(()));
    gone.ok_or_else(|| format!("the emulator, process {emulator}, still runs"))?;
    match fs::read_dir(files.path())?.next() {
        None => Ok(()),
        Some(left) => Err(format!("{} is left", left?.path().display()).into()),
    }
}

/// Tries until there is something, or patience ends.
fn within<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            found => return found,
        }
    }
}

/// A child process that is an emulator with a machine, and not one that is asked for its version.
fn child_of(parent: &Child) -> Option<u32> {
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    let children = fs::read_to_string(children).ok()?;
    let has_machine = |words: String| words.contains("-initrd") || words.contains("\0-f\0/proc/");
    let is_emulator =
        |child: &u32| fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(has_machine);
    children.split_whitespace().filter_map(|child| child.parse().ok()).find(is_emulator)
}
