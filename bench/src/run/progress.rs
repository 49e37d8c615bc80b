//! How far a run is, and how long it may still take where anything tells the time. Everything is drawn between
//! trials, on this thread, and nothing while one is running.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use host::kvm::Counter;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::listener::Listener;
use crate::trial::record::TrialRecord;

/// The least between two lines about a run elsewhere, where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// A bar on a terminal, a line a trial on one that cannot draw, a line a block elsewhere; all on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    every_trial: bool,
    /// Since when; `None` where nothing tells the time.
    began: Option<Instant>,
    done: usize,
    block: Option<u32>,
}

impl Progress {
    /// Of a run of so many trials on a machine with such a counter.
    #[must_use]
    pub fn new(trials: usize, counter: Counter) -> Self {
        let began = (counter == Counter::Time).then(Instant::now);
        let every_trial = io::stderr().is_terminal() && !draws();
        Self { bar: draws().then(|| bar(trials)), every_trial, began, done: 0, block: None }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprint_line(line),
        }
    }
}

/// As long as the trials so far took on average, in words.
fn left(elapsed: Duration, done: usize, trials: usize) -> String {
    let [done, trials] = [done.max(1), trials].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    format!(", {} s left", (elapsed / done).saturating_mul(trials).as_secs_f64().ceil())
}

/// Whether standard error is a terminal that can draw.
fn draws() -> bool {
    io::stderr().is_terminal() && can_draw(std::env::var_os("TERM").as_deref())
}

/// Whether a terminal that calls itself so can draw; one that does not say what it is is not asked to.
fn can_draw(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// How far a run is; [`heard`] understands it.
fn said(done: usize, trials: usize) -> String {
    format!("{done} of {trials} trials")
}

/// The counts in a line about progress.
fn heard(line: &str) -> Option<(usize, usize)> {
    let (done, rest) = line.split_once(" of ")?;
    let (trials, _) = rest.split_once(" trials")?;
    Some((done.parse().ok()?, trials.parse().ok()?))
}

fn bar(trials: usize) -> ProgressBar {
    // No steady tick: that would be a thread that draws while a sample is being taken.
    let bar = ProgressBar::with_draw_target(Some(trials as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} trials{msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.tick();
    bar
}

/// Standard error may be closed; that is no reason to end a run.
fn eprint_line(line: &str) {
    use io::Write as _;
    let _ = writeln!(io::stderr(), "{line}");
}

impl Listener for Progress {
    fn ended(&mut self, trial: &TrialRecord, left: usize) {
        self.done += 1;
        if let Some(error) = trial.error() {
            self.say(&format!("trial {} failed: {error}", trial.trial));
        }
        let eta = self.began.map(|began| self::left(began.elapsed(), self.done, left)).unwrap_or_default();
        match &self.bar {
            Some(bar) => {
                bar.set_message(eta);
                // A run that adds blocks has more of them than it began with.
                bar.set_length((self.done + left) as u64);
                bar.inc(1);
            }
            None if self.every_trial || self.block != Some(trial.block) || left == 0 => {
                eprint_line(&(said(self.done, self.done + left) + &eta));
            }
            None => {}
        }
        self.block = Some(trial.block);
    }
}

/// Shows the progress of a run in another machine, which tells no time: the time is taken here.
pub struct Follower {
    /// From the first that is heard on: how many trials there are is not known before.
    bar: Option<ProgressBar>,
    /// When the first trial had ended: what was before it is another machine's boot.
    first: Option<Instant>,
    spoke: Option<Instant>,
}

impl Follower {
    /// Of a run that is about to start.
    #[must_use]
    pub fn new() -> Self {
        Self { bar: None, first: None, spoke: None }
    }

    /// Shows a line of the other machine.
    pub fn hear(&mut self, line: &str) {
        let Some((done, trials)) = heard(line) else { return self.pass_on(line) };
        let left = self.left(done, trials);
        if self.bar.is_none() && draws() {
            self.bar = Some(bar(trials));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(left);
        } else if done == trials || self.spoke.is_none_or(|spoke| spoke.elapsed() > BETWEEN_LINES) {
            eprint_line(&(said(done, trials) + &left));
            self.spoke = Some(Instant::now());
        }
    }

    fn pass_on(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprint_line(line),
        }
    }

    fn left(&mut self, done: usize, trials: usize) -> String {
        match self.first {
            None => {
                self.first = Some(Instant::now());
                String::new()
            }
            Some(first) => left(first.elapsed(), done.saturating_sub(1), trials.saturating_sub(done)),
        }
    }
}

impl Default for Follower {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_draws_if_it_says_what_it_is() {
        let terms = [None, Some(""), Some("dumb"), Some("xterm")];
        assert_eq!(terms.map(|term| can_draw(term.map(OsStr::new))), [false, false, false, true]);
    }

    #[test]
    fn what_is_said_is_heard() {
        assert_eq!(heard(&said(3, 16)), Some((3, 16)));
        assert_eq!(heard(&(said(3, 16) + &left(Duration::from_secs(6), 3, 13))), Some((3, 16)));
        for other in ["", "trial 3 failed: 2 of them", "3 of many trials", "a of 5 trials"] {
            assert_eq!(heard(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_left_is_as_slow_as_what_was() {
        assert_eq!(left(Duration::from_secs(6), 3, 13), ", 26 s left");
        assert_eq!(left(Duration::ZERO, 0, 5), ", 0 s left");
    }
}
