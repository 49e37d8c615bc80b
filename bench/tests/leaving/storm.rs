//! Runs that are stopped, killed and held up at random: whatever is left of one can be read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::common::{pagehint, skip, text, within};

/// What is sent; a process that is held up goes on after a while.
const SENT: [(&str, Signal); 4] = [
    ("SIGINT", Signal::INT),
    ("SIGTERM", Signal::TERM),
    ("SIGKILL", Signal::KILL),
    ("SIGSTOP and SIGCONT", Signal::STOP),
];

/// The longest that is waited before a signal: a run that is left alone takes some twenty seconds, and longer on a busy
/// machine.
const LONGEST: Duration = Duration::from_secs(20);

/// How often it ended how: what was sent last, how the process ended, what was left.
type Ends = BTreeMap<String, usize>;

#[test]
fn twenty_seconds_of_signals_leave_nothing_that_cannot_be_read() {
    storm(Duration::from_secs(20), 1);
}

/// `make signal-storm`.
#[test]
#[ignore = "it takes minutes: make signal-storm MINUTES=10"]
fn minutes_of_signals_leave_nothing_that_cannot_be_read() {
    let number = |name: &str, otherwise| {
        std::env::var(name).map_or(otherwise, |value| value.parse().expect("a whole number"))
    };
    storm(Duration::from_secs(60 * number("PAGEHINT_STORM_MINUTES", 10)), number("PAGEHINT_STORM_SEED", 2));
}

fn storm(time: Duration, seed: u64) {
    let doctor = pagehint(&["doctor"]).output().unwrap();
    if doctor.status.code() == Some(77) {
        return skip(&doctor);
    }
    let (began, mut rng, mut ends) = (Instant::now(), Pcg64Mcg::new(u128::from(seed)), Ends::new());
    while began.elapsed() < time {
        let end = one(&mut rng);
        *ends.entry(end).or_default() += 1;
    }
    let total: usize = ends.values().sum();
    println!("{total} runs in {} s, seed {seed}", began.elapsed().as_secs());
    ends.iter().for_each(|(end, count)| println!("{count:>6}  {end}"));
}

/// A time up to `most`, more often a short one.
fn some_time(rng: &mut Pcg64Mcg, most: Duration) -> Duration {
    let mut part = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
    most.mul_f64(part() * part())
}

/// Runs once, with signals, and reads what is left; how it ended, in words.
fn one(rng: &mut Pcg64Mcg) -> String {
    let place = tempfile::tempdir().unwrap();
    let [run, out, err] = ["run", "out", "err"].map(|name| place.path().join(name));
    let mut command = pagehint(&["compare", "--quick", "--out"]);
    command.arg(&run).stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = command.spawn().unwrap();
    let (sent, status) = disturb(&mut child, rng);
    let said = [out, err].map(|path| fs::read_to_string(path).unwrap());
    assert!(!said.concat().contains("panicked"), "{said:?}");
    let ended = match (status.signal(), status.code()) {
        (Some(signal), _) => {
            assert!(sent.iter().any(|(_, sent)| sent.as_raw() == signal), "{status}: {said:?}");
            "by the signal"
        }
        // What is measured between signals need not hold.
        (None, Some(0 | 1)) => "by itself",
        other => panic!("{other:?}: {said:?}"),
    };
    let last = sent.last().map_or("nothing", |(name, _)| name);
    // Who is asked again ends at once too.
    let at_once = status.signal() == Some(Signal::KILL.as_raw()) || sent.len() > 1;
    format!("{last} was sent last, it ended {ended}, {}", left(&run, at_once))
}

/// Sends signals until it ends; what was sent, and how it ended.
fn disturb(child: &mut Child, rng: &mut Pcg64Mcg) -> (Vec<(&'static str, Signal)>, ExitStatus) {
    let (pid, mut sent) = (Pid::from_child(child), Vec::new());
    loop {
        std::thread::sleep(some_time(rng, LONGEST));
        if let Some(status) = child.try_wait().unwrap() {
            return (sent, status);
        }
        let (name, signal) = SENT[rng.next_u32() as usize % SENT.len()];
        // It has not been waited for since it was seen to run: the number is still its own.
        kill_process(pid, signal).unwrap();
        sent.push((name, signal));
        if signal == Signal::STOP {
            std::thread::sleep(some_time(rng, Duration::from_secs(2)));
            kill_process(pid, Signal::CONT).unwrap();
        } else if rng.next_u32().is_multiple_of(2) {
            // The other half is asked again.
            let mut status = None;
            within("the run ends", || {
                status = child.try_wait().unwrap();
                status.is_some()
            });
            return (sent, status.unwrap());
        }
    }
}

/// What `pagehint report` makes of what is left.
fn left(run: &Path, at_once: bool) -> &'static str {
    if !run.exists() {
        return "no directory is left";
    }
    let report = pagehint(&["report"]).arg(run).output().unwrap();
    let (shown, said) = (text(&report.stdout), text(&report.stderr));
    assert!(matches!(report.status.code(), Some(0 | 1)) && !said.contains("panicked"), "{report:?}");
    if shown.contains("Checks") {
        "what had ended is read"
    } else {
        // Who ends at once takes nothing away.
        let empty = said.contains("had ended when the run stopped") || said.contains("is no run directory");
        assert!(at_once && empty, "{report:?}");
        "the directory is there, and no trial had ended"
    }
}
