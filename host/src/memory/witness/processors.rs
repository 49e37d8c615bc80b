//! How many processors are online, whichever of them the calling thread may run on.

use std::fs;

use super::WitnessError;

const PATH: &str = "/sys/devices/system/cpu/online";

pub(super) fn online() -> Result<u64, WitnessError> {
    let text = fs::read_to_string(PATH).map_err(WitnessError::read(PATH))?;
    count(text.trim())
        .ok_or_else(|| WitnessError::Says { path: PATH.to_owned(), field: "list of processors" })
}

/// Of a list such as `0-3,6`.
fn count(list: &str) -> Option<u64> {
    list.split(',').try_fold(0_u64, |sum, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)?.checked_add(sum)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::{Pinned, Placement};

    #[test]
    fn processors_are_counted_in_a_list_of_runs() {
        assert_eq!(count("0"), Some(1));
        assert_eq!(count("0-3,6,8-9"), Some(7));
        assert_eq!([count(""), count("3-1"), count("a")], [None; 3]);
    }

    #[test]
    fn a_pinned_thread_counts_the_others_too() {
        let all = online().unwrap();
        let _pinned = Pinned::to(Placement::choose(1, crate::axes::Servicer::Vcpu).vcpu(0));
        assert_eq!(online().unwrap(), all);
    }
}
