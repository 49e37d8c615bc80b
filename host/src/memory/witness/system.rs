//! Free memory of the whole machine, by `/proc/meminfo`: whatever else runs is in it.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use abi::addr::PAGE_SIZE;

use super::super::ram::GuestRam;
use super::super::residency::Residency;
use super::{Held, WitnessError, processors};

const PATH: &str = "/proc/meminfo";
/// Readings that a look consists of, and how far apart they are.
const READINGS: u32 = 5;
const APART: Duration = Duration::from_millis(2);

/// Pages that a processor may have freed and not given back: the batch of its list (Linux `mm/page_alloc.c`,
/// `zone_batchsize`).
const BATCH: u64 = 63;

/// Reads free memory.
#[derive(Debug)]
pub(super) struct System {
    residency: Residency,
}

impl System {
    pub(super) fn of(ram: &GuestRam) -> Result<Self, WitnessError> {
        Ok(Self { residency: Residency::of(ram, ram.whole())? })
    }

    pub(super) fn look(&mut self) -> Result<Held, WitnessError> {
        let (mut least, mut most) = (u64::MAX, 0);
        for _ in 0..READINGS {
            let free = free()?;
            (least, most) = (least.min(free), most.max(free));
            sleep(APART);
        }
        // What it changes by while nothing is asked of it, and what processors keep for themselves.
        let within = most - least + BATCH * processors::online()?;
        let free = least.midpoint(most);
        // The other way round: what is free is not taken.
        let taken = -free.cast_signed();
        Ok(Held { pages: taken - self.residency.count()?.cast_signed(), within })
    }
}

fn free() -> Result<u64, WitnessError> {
    let text = fs::read_to_string(PATH).map_err(WitnessError::read(PATH))?;
    free_in(&text).ok_or_else(|| WitnessError::Says { path: PATH.to_owned(), field: "MemFree" })
}

/// Pages.
fn free_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemFree:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024 / PAGE_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_what_the_kernel_calls_free() {
        assert_eq!(free_in("MemTotal: 9 kB\nMemFree:        4096 kB\nMemAvailable: 1 kB\n"), Some(1024));
        assert_eq!(free_in("MemTotal: 9 kB\n"), None);
        assert!(free().unwrap() > 0);
    }
}
