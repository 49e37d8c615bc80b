//! A fleet: many runs into one set, in flat memory. The runs are one, repeated: their trials and histograms are links to
//! the same two files, so that what is measured is reading and adding up, and not a disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{FILES, copy, expect, path, reference};

/// Kinds of host in it.
const HOSTS: usize = 10;

/// A run of as many trials as `repeats` of the reference's, which is read again and again.
fn long_run(to: &Path, repeats: usize) -> usize {
    copy("kvm_pvm", to);
    let [trials, log] =
        ["trials.jsonl", "histograms.hlog"].map(|file| fs::read_to_string(to.join(file)).unwrap());
    let of_one = trials.lines().count();
    let (mut longer, mut log_of_all) = (String::new(), String::new());
    for repeat in 0..repeats {
        for (at, line) in trials.lines().enumerate() {
            let (trial, rest) = (repeat * of_one + at, line.split_once(",\"block\":").unwrap().1);
            longer += &format!("{{\"schema_version\":3,\"trial\":{trial},\"block\":{rest}\n");
        }
        for line in log.lines() {
            let number = line.strip_prefix("#[Trial: ").and_then(|rest| rest.strip_suffix(']'));
            match number.map(|number| number.parse::<usize>().unwrap()) {
                Some(trial) => log_of_all += &format!("#[Trial: {}]\n", repeat * of_one + trial),
                None => log_of_all += &format!("{line}\n"),
            }
        }
    }
    fs::write(to.join("trials.jsonl"), longer).unwrap();
    fs::write(to.join("histograms.hlog"), log_of_all).unwrap();
    repeats * of_one
}

/// Runs on [`HOSTS`] kinds of host whose files are those of `like`.
fn fleet(place: &Path, like: &Path, runs: usize) -> Vec<PathBuf> {
    let environment = fs::read_to_string(like.join("environment.json")).unwrap();
    let run = |at: usize| {
        let run = place.join(format!("run-{at:04}"));
        fs::create_dir(&run).unwrap();
        for file in &FILES[1..] {
            fs::hard_link(like.join(file), run.join(file)).unwrap();
        }
        let host = environment.replacen("AMD EPYC", &format!("AMD EPYC of kind {}", at % HOSTS), 1);
        fs::write(run.join("environment.json"), host).unwrap();
        run
    };
    (0..runs).map(run).collect()
}

/// What a command took.
struct Took {
    wall: Duration,
    /// Of all its threads, to a hundredth of a second.
    processor: Duration,
    /// The most it had, in KiB.
    memory: u64,
}

fn watched(arguments: &[&str]) -> Took {
    let began = Instant::now();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("pagehint"))
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut took = Took { wall: Duration::ZERO, processor: Duration::ZERO, memory: 0 };
    let status = loop {
        // Gone by the time it is looked at, it has no memory any more.
        if let Ok(process) = procfs::process::Process::new(child.id().cast_signed()) {
            let memory = process.status().ok().and_then(|status| status.vmhwm);
            took.memory = took.memory.max(memory.unwrap_or_default());
            let ticks = process.stat().map_or(0, |stat| stat.utime + stat.stime);
            took.processor = took.processor.max(Duration::from_millis(10 * ticks));
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{arguments:?}: {status}");
    Took { wall: began.elapsed(), ..took }
}

/// Merges and reports a fleet: what both took together, and the most memory of either in KiB.
fn summarised(place: &Path, runs: &[PathBuf]) -> (Duration, u64) {
    let set = place.join(format!("set-of-{}", runs.len()));
    let arguments: Vec<&str> =
        ["merge", path(&set)].into_iter().chain(runs.iter().map(|run| path(run))).collect();
    let both = [("merged", watched(&arguments)), ("shown", watched(&["report", path(&set)]))];
    for (what, Took { wall, processor, memory }) in &both {
        println!("{} runs {what} in {wall:.1?}, {processor:.1?} of processors, {memory} KiB", runs.len());
    }
    let [(_, merge), (_, report)] = both;
    (merge.wall + report.wall, merge.memory.max(report.memory))
}

#[test]
fn what_a_set_says_of_runs_that_are_one_repeated_is_what_the_one_says() {
    let place = tempfile::tempdir().unwrap();
    let runs = fleet(place.path(), &reference("lab-check"), 20);
    let set = place.path().join("set");
    let arguments: Vec<&str> =
        ["merge", path(&set)].into_iter().chain(runs.iter().map(|run| path(run))).collect();
    expect(0, &arguments);
    expect(0, &["report", path(&set)]);
    let csv = fs::read_to_string(set.join("by-host.csv")).unwrap();
    let alone =
        expect(0, &["export", path(&reference("lab-check")), "--as", "csv", "--cell", "virtio.none.b32"]);
    let total = alone.lines().find(|line| line.contains(",total,")).unwrap();
    let p50: f64 = total.split(',').nth(9).unwrap().parse().unwrap();
    let row = csv.lines().find(|line| line.contains(",virtio.none.b32,")).unwrap();
    let figures: Vec<&str> = row.rsplit('"').next().unwrap().split(',').collect();
    assert_eq!(figures[8].parse::<f64>().unwrap(), (p50 / 32.0 * 10.0).round() / 10.0, "{row}");
}

/// `make fleet`: a thousand runs and a million trials.
#[test]
#[ignore = "takes minutes where nothing is optimised: make fleet"]
fn a_million_trials_are_summarised_in_a_minute_and_in_flat_memory() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let like = place.path().join("like");
    let trials = long_run(&like, 4);
    let runs = fleet(place.path(), &like, 1000);
    println!("{} runs of {trials} trials", runs.len());
    let (_, few) = summarised(place.path(), &runs[..100]);
    let (took, many) = summarised(place.path(), &runs);
    assert!(runs.len() * trials >= 1_000_000);
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert!(many < few + few / 4, "{few} KiB of 100 runs, {many} KiB of 1000");
}
