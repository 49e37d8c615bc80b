//! The notes page: words the guest keeps about itself, at [`crate::layout::NOTES`].

use crate::addr::Gpa;
use crate::layout::NOTES;
use crate::violation::Violation;

const fn word(index: u64) -> Gpa {
    NOTES.offset(index * 8)
}

/// Calls made since the start.
pub const CALLS: Gpa = word(0);
/// Reports made since the start.
pub const REPORTS: Gpa = word(1);
/// Ranges that answers said were refused, or calls that were answered with an error; by the host, or by
/// KVM if the host never saw the call.
pub const REFUSED: Gpa = word(2);
/// [`crate::digest::Digest::sum`] of what was reported.
pub const DIGEST_SUM: Gpa = word(3);
/// [`crate::digest::Digest::pages`] of what was reported.
pub const DIGEST_PAGES: Gpa = word(4);
/// Pages whose contents were checked.
pub const CHECKED: Gpa = word(5);
/// What the last step of an obeying guest found.
pub const ANSWER: Gpa = word(6);
/// Interrupts taken.
pub const INTERRUPTS: Gpa = word(7);
/// Interrupts taken when the guest last looked before halting.
pub const INTERRUPTS_SEEN: Gpa = word(8);
/// Frame of the first page found wrong, and the report it was found in.
pub const FIRST_WRONG: [Gpa; 2] = [word(9), word(10)];
/// Number of the kind of the burst that begins: see [`crate::timed::burst`].
pub const BURST: Gpa = word(11);
/// Pages that were reported and taken back before the host was told: see [`crate::wire::log`].
pub const TAKEN_BACK: Gpa = word(12);
/// The most reports that were told and not acknowledged when the last of them had been told.
pub const IN_FLIGHT: Gpa = word(13);
/// The host's word, from before the guest runs: not 0 if the guest is to look at every page that is not reported, before and
/// after the reports that prove something, and to say so ([`crate::control::Control::Looked`]).
pub const LOOKS: Gpa = word(14);
/// The host's word: rings that a thread of it has answered, where the guest waits for each.
pub const ANSWERED: Gpa = word(15);
/// Length of the panic message.
pub const PANIC_LENGTH: Gpa = word(30);
const _: () = assert!(16 + Violation::ALL.len() <= 30);
/// The panic message, UTF-8.
pub const PANIC_TEXT: Gpa = word(32);
/// Space for the panic message, in bytes.
pub const PANIC_SPACE: u64 = 512;

/// How often `violation` was found.
#[must_use]
pub const fn violations(violation: Violation) -> Gpa {
    word(16 + violation as u64)
}
