//! The last words of a payload that has panicked.

use abi::notes;

use crate::memory::GuestRam;

/// What the payload left in the notes before it gave up.
pub(crate) fn panic_message(ram: &GuestRam) -> String {
    let length = ram.read(notes::PANIC_LENGTH).unwrap_or(0).min(notes::PANIC_SPACE);
    let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
    match ram.read_bytes(notes::PANIC_TEXT, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) => error.to_string(),
    }
}
