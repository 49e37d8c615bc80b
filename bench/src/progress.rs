//! How far a run is. Everything is drawn between trials, on this thread, and nothing while one is running.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::executor::Listener;
use crate::record::{Ending, TrialRecord};

/// A bar on a terminal, a line a block elsewhere; both on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    done: usize,
    block: Option<u32>,
}

impl Progress {
    /// Of a run of so many trials.
    #[must_use]
    pub fn new(trials: usize) -> Self {
        let bar = io::stderr().is_terminal().then(|| bar(trials));
        Self { bar, began: Instant::now(), done: 0, block: None }
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

    /// As long as the trials so far took on average.
    fn left(&self, trials: usize) -> Duration {
        let done = u32::try_from(self.done).unwrap_or(u32::MAX).max(1);
        self.began.elapsed() / done * u32::try_from(trials).unwrap_or(u32::MAX)
    }
}

fn bar(trials: usize) -> ProgressBar {
    // No steady tick: that would be a thread that draws while a sample is being taken.
    let bar = ProgressBar::with_draw_target(Some(trials as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} trials, {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.set_message("…");
    bar.tick();
    bar
}

/// Standard error may be closed; that is no reason to end a run.
fn eprint_line(line: &str) {
    use io::Write as _;
    let _ = writeln!(io::stderr(), "{line}");
}

impl Listener for Progress {
    fn ended(&mut self, record: &TrialRecord, left: usize) {
        self.done += 1;
        if let Ending::Failed { error } = &record.ending {
            self.say(&format!("trial {} failed: {error}", record.trial));
        }
        let eta = format!("{} s left", self.left(left).as_secs_f64().ceil());
        match &self.bar {
            Some(bar) => {
                bar.set_message(eta);
                bar.inc(1);
            }
            None if self.block != Some(record.block) || left == 0 => {
                eprint_line(&format!("{} of {} trials, {eta}", self.done, self.done + left));
            }
            None => {}
        }
        self.block = Some(record.block);
    }
}

/// Passes on what a run in another machine says of its progress.
pub struct Follower;
impl Follower {
    pub fn new() -> Self {
        Self
    }
    pub fn hear(&mut self, line: &str) {
        eprint_line(line)
    }
    pub fn finish(&self) {}
}
