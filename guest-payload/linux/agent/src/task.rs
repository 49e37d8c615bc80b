//! What the agent does: one task a boot.

use std::time::Duration;

use crate::drivers::{Driver, Told};
use crate::memory::{Memory, mix};
use crate::say;
use crate::system::{Control, control, sleep, ticks};
use crate::words::Words;

/// Pages in a mebibyte.
const MIB: usize = 256;
/// How often is looked whether reporting has settled: `PAGE_REPORTING_DELAY` is two seconds.
const LOOK: Duration = Duration::from_millis(500);
/// How many looks must find nothing new.
const CALM: u32 = 6;
/// How many looks there are at the most.
const LOOKS: u32 = 120;

/// Memory that is in use all the time and must hold what it held.
struct Kept {
    memory: Memory,
    seed: u64,
    wrong: u64,
}

impl Kept {
    fn new(words: &Words) -> Result<Self, String> {
        let (pages, seed) = (words.value::<usize>("kept")? * MIB, words.value("seed")?);
        let memory = Memory::new(pages, false)?;
        memory.fill(seed);
        Ok(Self { memory, seed, wrong: 0 })
    }

    fn check(&mut self) {
        self.wrong += self.memory.wrong(self.seed);
    }
}

/// Runs the task.
pub(crate) fn run(words: &Words, driver: &Driver) -> Result<(), String> {
    let mut kept = Kept::new(words)?;
    control(Control::Ready);
    let wrong = match words.text("task") {
        "memhog" => memhog(words, driver, &mut kept)?,
        "page-fault" => page_fault(words, &mut kept)?,
        "churn" => churn(words, driver, &mut kept)?,
        other => return Err(format!("task={other:?} is none of the agent's")),
    };
    kept.check();
    say("checked_pages", &kept.memory.pages());
    say("wrong_words", &(kept.wrong + wrong));
    control(Control::End);
    Ok(())
}

/// Takes memory, fills it, frees it and waits until all of it is reported; then takes it again.
fn memhog(words: &Words, driver: &Driver, kept: &mut Kept) -> Result<u64, String> {
    let (pages, huge) = (words.value::<usize>("mib")? * MIB, words.text("huge") == "1");
    let hog = Memory::new(pages, huge)?;
    hog.fill(!kept.seed);
    let mut wrong = hog.wrong(!kept.seed);
    control(Control::Begin);
    let began = ticks();
    drop(hog);
    if driver.reports() {
        settle(driver)?;
    }
    say("settle_ticks", &(ticks() - began));
    tell(driver)?;
    control(Control::Settled);
    kept.check();
    let began = ticks();
    let hog = Memory::new(pages, huge)?;
    hog.touch();
    say("refault_ticks", &(ticks() - began));
    hog.fill(kept.seed);
    wrong += hog.wrong(kept.seed);
    Ok(wrong)
}

/// Waits until nothing has been reported for a while.
fn settle(driver: &Driver) -> Result<(), String> {
    let (mut before, mut calm) = (None, 0);
    for _ in 0..LOOKS {
        sleep(LOOK);
        let now = driver.told()?;
        calm = if now == before { calm + 1 } else { 0 };
        // Where nobody counts, for as long as a pass over all of memory may take.
        if calm >= CALM && now.is_none_or(|told| told != Told::default()) {
            return Ok(());
        }
        before = now;
    }
    Err(format!("reporting has not settled within {} s", LOOK.as_secs_f64() * f64::from(LOOKS)))
}

/// Says what was reported, if anybody counts.
fn tell(driver: &Driver) -> Result<(), String> {
    if let Some(Told { reports, pages }) = driver.told()? {
        say("reports", &reports);
        say("pages", &pages);
    }
    Ok(())
}

/// page_fault1 of will-it-scale: maps 128 MiB, touches each page, unmaps, again and again.
fn page_fault(words: &Words, kept: &mut Kept) -> Result<u64, String> {
    let (pages, rounds) = (words.value::<usize>("mib")? * MIB, words.value::<u64>("rounds")?);
    let huge = words.text("huge") == "1";
    control(Control::Begin);
    let mut spent = 0;
    for _ in 0..rounds {
        let began = ticks();
        let memory = Memory::new(pages, huge)?;
        memory.touch();
        drop(memory);
        spent += ticks() - began;
    }
    control(Control::Settled);
    kept.check();
    say("ticks", &spent);
    say("operations", &(rounds * pages as u64));
    Ok(0)
}

/// Allocates and frees regions of mixed sizes, by the seed; what a region holds is checked before it is freed.
fn churn(words: &Words, driver: &Driver, kept: &mut Kept) -> Result<u64, String> {
    let (most, rounds) = (words.value::<usize>("mib")? * MIB, words.value::<u64>("rounds")?);
    let mut held: Vec<(Memory, u64)> = Vec::new();
    let (mut state, mut wrong, mut spent) = (kept.seed, 0, 0);
    control(Control::Begin);
    for round in 0..rounds {
        state = mix(state.wrapping_add(round + 1));
        // From one page to 4 MiB, smaller ones more often.
        let pages = 1_usize << (state % 11);
        let huge = state >> 32 & 1 == 1;
        let total: usize = held.iter().map(|(memory, _)| memory.pages()).sum();
        let began = ticks();
        if total + pages > most || !held.is_empty() && state >> 40 & 1 == 1 {
            let at = usize::try_from(state >> 41).unwrap_or(0) % held.len();
            let (memory, seed) = held.swap_remove(at);
            wrong += memory.wrong(seed);
        } else {
            let memory = Memory::new(pages, huge)?;
            memory.fill(state);
            held.push((memory, state));
        }
        spent += ticks() - began;
        if round % 1024 == 0 {
            kept.check();
        }
    }
    wrong += held.iter().map(|(memory, seed)| memory.wrong(*seed)).sum::<u64>();
    control(Control::Settled);
    say("ticks", &spent);
    say("operations", &rounds);
    tell(driver)?;
    Ok(wrong)
}
