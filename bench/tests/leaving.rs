//! How the command leaves: by signals, and where nothing can be written. On the real device, as a user meets it.

#[path = "leaving/common.rs"]
mod common;
#[path = "leaving/storm.rs"]
mod storm;

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use common::{Begun, begin, pagehint, text, within};

/// Longer than two signals can be one request.
const ANOTHER_REQUEST: Duration = Duration::from_millis(1200);

/// A trial that is long under way when its run is stopped.
const LONG: [&str; 3] = ["run", "--reports", "100000000"];

#[test]
fn a_signal_that_comes_twice_is_one_request_and_ends_the_run_with_what_had_ended() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let place = tempfile::tempdir().unwrap();
        let Some(run) = begin(&mut pagehint(&["compare", "--quick"]), place.path()) else { return };
        run.wait_for_trial();
        // As timeout does: to the process, and then to its group.
        run.send(signal);
        run.send(signal);
        let output = run.end();
        assert_eq!(output.status.signal(), Some(signal.as_raw()), "{output:?}");
        assert!(text(&output.stdout).contains("Checks"), "{output:?}");
        let said = text(&output.stderr);
        assert!(said.contains("stopped by a signal with ") && said.contains(" that ended are in "), "{said}");
        let again = pagehint(&["report"]).arg(place.path().join("run")).output().unwrap();
        assert!(text(&again.stdout).contains("Checks"), "{again:?}");
    }
}

#[test]
fn another_request_ends_the_run_at_once_and_says_where_the_rest_is() {
    let place = tempfile::tempdir().unwrap();
    // Nobody reads, and there is no room: the run stays in the middle of its report.
    let (_reader, mut full) = std::io::pipe().unwrap();
    full.write_all(&[b' '; 1 << 16]).unwrap();
    let mut command = pagehint(&["compare", "--quick"]);
    let Some(mut run) = begin(command.stdout(full), place.path()) else { return };
    run.wait_for_trial();
    run.send(Signal::TERM);
    std::thread::sleep(ANOTHER_REQUEST);
    assert!(run.is_running());
    run.send(Signal::TERM);
    let output = run.end();
    assert_eq!(output.status.signal(), Some(Signal::TERM.as_raw()), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("ended at once, without a report") && said.contains("pagehint report"), "{said}");
    let again = pagehint(&["report"]).arg(place.path().join("run")).output().unwrap();
    assert!(text(&again.stdout).contains("Checks"), "{again:?}");
}

#[test]
fn nothing_is_left_of_a_run_that_is_stopped_before_its_first_trial_has_ended() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("mine")).unwrap();
    for (out, stays) in [("mine/run", false), ("mine", true), ("run/deep", false)] {
        let out = place.path().join(out);
        let Some(run) = Begun::of(pagehint(&LONG).arg("--out").arg(&out), &out) else { return };
        within("the run begins", || out.join("histograms.hlog").exists());
        run.send(Signal::INT);
        let output = run.end();
        assert_eq!(output.status.signal(), Some(Signal::INT.as_raw()), "{output:?}");
        assert!(text(&output.stderr).contains("nothing is in"), "{output:?}");
        assert_eq!(out.exists(), stays);
        assert!(fs::read_dir(place.path()).unwrap().count() == 1, "{}", out.display());
        assert!(fs::read_dir(place.path().join("mine")).unwrap().next().is_none());
    }
}

#[test]
fn a_signal_that_is_to_be_ignored_is_ignored() {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    let program = assert_cmd::cargo::cargo_bin("pagehint");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(program).args(LONG);
    let Some(mut run) = begin(&mut command, place.path()) else { return };
    within("the run begins", || place.path().join("run/histograms.hlog").exists());
    run.send(Signal::HUP);
    std::thread::sleep(Duration::from_millis(500));
    assert!(run.is_running(), "nohup");
    run.send(Signal::TERM);
    assert_eq!(run.end().status.signal(), Some(Signal::TERM.as_raw()));
}

/// Runs the command where no file may have more than so many blocks of 512 bytes.
fn limited(blocks: u32, arguments: &[&str], path: &Path) -> Output {
    let script = format!("ulimit -f {blocks}; exec \"$@\"");
    let program = assert_cmd::cargo::cargo_bin("pagehint");
    Command::new("sh").args(["-c", &script, "sh"]).arg(program).args(arguments).arg(path).output().unwrap()
}

#[test]
fn what_was_measured_is_shown_also_where_it_cannot_be_written() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    // There is room for what the run begins with, and for no trial.
    let output = limited(34, &["run", "--reports", "10000", "--out"], &run);
    if output.status.code() == Some(77) {
        return common::skip(&output);
    }
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("Checks"), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("cannot be written: File too large") && said.contains("is shown"), "{said}");
    assert!(!run.exists());

    // There is room for some.
    let output = limited(128, &["compare", "--quick", "--rungs", "floor,virtio", "--out"], &run);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("Checks"), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("File too large") && said.contains("all but the last are in"), "{said}");
    let again = pagehint(&["report"]).arg(&run).output().unwrap();
    assert!(text(&again.stdout).contains("Checks"), "{again:?}");
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_anything_is_measured() {
    for command in ["run", "compare", "engine"] {
        let output = pagehint(&[command, "--out", "/proc/none"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).starts_with("pagehint: /proc/none cannot be written"), "{output:?}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_shown_and_leaves_the_old_one() {
    let place = tempfile::tempdir().unwrap();
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/reference/lab-check");
    for name in ["environment.json", "plan.toml", "trials.jsonl", "histograms.hlog", "report.md"] {
        fs::copy(reference.join(name), place.path().join(name)).unwrap();
    }
    fs::write(place.path().join("report.md"), "the old one").unwrap();
    let output = limited(1, &["report"], place.path());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("Checks"), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("report.md cannot be written: File too large") && !said.contains("--"), "{said}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 5);
    assert_eq!(fs::read_to_string(place.path().join("report.md")).unwrap(), "the old one");
}

#[test]
fn who_cannot_be_told_changes_nothing_of_how_a_command_ends() {
    let nobody = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let cases: [(&[&str], i32); 6] = [
        (&["list"], 0),
        (&["schema"], 0),
        (&["--help"], 0),
        (&["compare", "--batch", "0"], 2),
        (&["report", "/no/such/run"], 1),
        (&["lab", "--kernel", "newest"], 2),
    ];
    for (arguments, code) in cases {
        let mut command = pagehint(arguments);
        let status = command.stdout(nobody()).stderr(nobody()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}
