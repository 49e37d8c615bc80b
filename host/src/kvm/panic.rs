//! The last words of a payload that has panicked.

use abi::addr::Gpa;
use abi::layout::NOTES;
use abi::notes;

use crate::memory::GuestRam;

/// What the payload left in the notes, which are at `notes`, before it gave up.
pub(crate) fn panic_message(ram: &GuestRam, notes: Gpa) -> String {
    let place = |at: Gpa| notes.offset(at.0 - NOTES.0);
    let length = ram.read(place(notes::PANIC_LENGTH)).unwrap_or(0).min(notes::PANIC_SPACE);
    let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
    match ram.read_bytes(place(notes::PANIC_TEXT), &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) => error.to_string(),
    }
}
