//! Whether the host has back what was unmapped, by the physical witness.

use abi::addr::Order;
use abi::axes::Axis;
use host::axes::Backing;

use crate::figure::check::{Check, Standing, check, none_of};
use crate::figure::unit::total;

/// What was found of the pages of some reports.
pub(crate) struct Look {
    /// Whose they are.
    pub(crate) of: String,
    /// Pages in no page table any more.
    pub(crate) unmapped: u64,
    /// Of these, back.
    pub(crate) back: u64,
    /// Of these, such as the witness cannot tell.
    pub(crate) unknown: u64,
    /// By how many pages it may be off.
    pub(crate) within: u64,
    /// Whether they were parts of huge pages: such are held until the huge page is split.
    pub(crate) in_part: bool,
}

impl Look {
    /// Whether some are held for certain. A look adds up several proofs: what one of them cannot tell excuses no more
    /// pages than those.
    fn is_short(&self) -> bool {
        total([self.back, self.unknown, self.within]) < self.unmapped
    }

    /// What is to be said of those that nobody can tell.
    fn untold(&self) -> String {
        if self.unknown == 0 { String::new() } else { format!(", {} unknown", self.unknown) }
    }
}

/// Whether blocks of this order can be a part of a page of this backing.
pub(crate) fn in_part(backing: Backing, order: u8) -> bool {
    backing.is_thp() && order < Order::HUGE.get()
}

/// What is unmapped is back; nothing if nothing was unmapped.
pub(crate) fn all_of(looks: &[Look]) -> Option<Check> {
    let what = "unmapped pages are back: the host can give their frames to others";
    let (mut faults, mut worst) = (Vec::new(), Standing::Doubtful);
    let pages = total(looks.iter().map(|look| look.unmapped));
    let unknown = total(looks.iter().map(|look| look.unknown));
    for look in looks.iter().filter(|look| look.is_short()) {
        let Look { of, unmapped, back, in_part, .. } = look;
        let why = if *in_part { ": parts of huge pages, held until the kernel splits those" } else { "" };
        faults.push(format!("{of}: {back} of {unmapped} pages{}{why}", look.untold()));
        worst = if *in_part { worst } else { Standing::Fails };
    }
    if pages == 0 {
        return None;
    }
    if faults.is_empty() && unknown > 0 {
        let detail = format!(
            "of {unknown} of {pages} pages nobody can tell: as root every frame can be looked at by itself, else use larger reports"
        );
        return Some(check(what, Standing::Unknown, detail));
    }
    Some(none_of(what, worst, &faults, pages, format!("{pages} pages")))
}

/// The witness, for sentences.
pub(crate) fn by(witnesses: impl Iterator<Item = host::memory::WitnessKind>) -> String {
    let mut names: Vec<&str> = witnesses.map(Axis::name).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(back: u64, unknown: u64, in_part: bool) -> Look {
        Look { of: "trial 1".to_owned(), unmapped: 64, back, unknown, within: 2, in_part }
    }

    fn standing(looks: &[Look]) -> Option<Standing> {
        all_of(looks).map(|check| check.standing)
    }

    #[test]
    fn what_is_unmapped_and_not_back_fails_beyond_what_the_witness_can_tell() {
        assert_eq!(standing(&[look(64, 0, false)]), Some(Standing::Holds));
        assert_eq!(standing(&[look(62, 0, false)]), Some(Standing::Holds));
        assert_eq!(standing(&[look(61, 0, false)]), Some(Standing::Fails));
        assert_eq!(standing(&[look(64, 0, false), look(0, 0, false)]), Some(Standing::Fails));
    }

    #[test]
    fn parts_of_huge_pages_are_the_kernels_and_said() {
        let check = all_of(&[look(0, 0, true)]).unwrap();
        assert_eq!(check.standing, Standing::Doubtful);
        assert!(check.detail.contains("0 of 64 pages: parts of huge pages"), "{check:?}");
        assert_eq!(standing(&[look(0, 0, true), look(0, 0, false)]), Some(Standing::Fails));
    }

    #[test]
    fn what_cannot_be_told_is_not_said_to_hold() {
        assert_eq!(standing(&[look(64, 0, false), look(0, 64, false)]), Some(Standing::Unknown));
        assert_eq!(standing(&[look(0, 0, false), look(0, 64, false)]), Some(Standing::Fails));
        assert_eq!(standing(&[]), None);
    }

    #[test]
    fn what_one_proof_cannot_tell_excuses_no_other() {
        let check = all_of(&[Look { unmapped: 128, ..look(0, 64, false) }]).unwrap();
        assert_eq!(check.standing, Standing::Fails);
        assert!(check.detail.contains("0 of 128 pages, 64 unknown"), "{check:?}");
        assert_eq!(standing(&[Look { unmapped: 128, ..look(62, 64, false) }]), Some(Standing::Unknown));
        assert_eq!(standing(&[Look { unmapped: 128, ..look(61, 64, false) }]), Some(Standing::Fails));
        assert_eq!(
            standing(&[look(u64::MAX, u64::MAX, false), look(1, u64::MAX, false)]),
            Some(Standing::Unknown),
            "it never wraps"
        );
    }

    #[test]
    fn only_a_block_smaller_than_a_huge_page_is_a_part_of_one() {
        assert!(in_part(Backing::AnonThp, 8) && !in_part(Backing::AnonThp, 9) && !in_part(Backing::Anon, 0));
    }

    #[test]
    fn witnesses_are_named_once() {
        use host::memory::WitnessKind::{Cgroup, Frames};
        assert_eq!(by([Frames, Cgroup, Frames].into_iter()), "cgroup and frames");
    }
}
