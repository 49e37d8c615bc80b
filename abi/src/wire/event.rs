//! Event indices (`VIRTIO_F_EVENT_IDX`; 2.7.7 and 2.7.10 of the virtio specification): a side writes the index of the entry at
//! which it wants to be told, and the other tells it when it has made that entry known, and not for the entries after.

/// Whether a side is to be told now that the index has moved from `old` to `new`: whether `event` is one of the entries in
/// between. Indices are counted modulo 2^16, and one that is far ahead is one that is long past.
#[must_use]
pub const fn is_due(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::is_due;

    #[test]
    fn a_side_is_told_of_the_entry_it_named_and_of_no_other() {
        assert!(is_due(0, 0, 1), "as memory was found, the first");
        assert!(!is_due(0, 1, 2));
        assert!(!is_due(2, 1, 2), "not yet");
        assert!(is_due(u16::MAX, u16::MAX, 0));
        assert!(!is_due(7, 7, 7), "nothing moved");
    }

    proptest! {
        #[test]
        fn the_event_is_among_the_entries(old: u16, by in 0_u16..1000, event: u16) {
            let entries = (0..by).map(|step| old.wrapping_add(step));
            prop_assert_eq!(is_due(event, old, old.wrapping_add(by)), entries.into_iter().any(|entry| entry == event));
        }
    }
}
