//! How far a run is, and how long it may still take where anything tells the time. Everything is drawn between
//! trials, on this thread, and nothing while one is running.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use host::facts::Counter;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::executor::Listener;
use crate::record::{Ending, TrialRecord};

/// A bar on a terminal, a line a block elsewhere; both on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Since when; `None` where nothing tells the time.
    began: Option<Instant>,
    done: usize,
    block: Option<u32>,
}

impl Progress {
    /// Of a run of so many trials on a machine with such a counter.
    #[must_use]
    pub fn new(trials: usize, counter: Counter) -> Self {
        let bar = io::stderr().is_terminal().then(|| bar(trials));
        let began = (counter == Counter::Time).then(Instant::now);
        Self { bar, began, done: 0, block: None }
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

    /// As long as the trials so far took on average, in words.
    fn left(&self, trials: usize) -> Option<String> {
        let done = u32::try_from(self.done).unwrap_or(u32::MAX).max(1);
        let left: Duration = self.began?.elapsed() / done * u32::try_from(trials).unwrap_or(u32::MAX);
        Some(format!(", {} s left", left.as_secs_f64().ceil()))
    }
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
    fn ended(&mut self, record: &TrialRecord, left: usize) {
        self.done += 1;
        if let Ending::Failed { error } = &record.ending {
            self.say(&format!("trial {} failed: {error}", record.trial));
        }
        let eta = self.left(left).unwrap_or_default();
        match &self.bar {
            Some(bar) => {
                bar.set_message(eta);
                bar.inc(1);
            }
            None if self.block != Some(record.block) || left == 0 => {
                eprint_line(&format!("{} of {} trials{eta}", self.done, self.done + left));
            }
            None => {}
        }
        self.block = Some(record.block);
    }
}
