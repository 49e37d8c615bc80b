//! Who makes the passes, and what a step of the work comes to.

/// The processor whose worker makes the passes.
pub(super) const WORKER: u32 = 0;
/// The nap of a processor that waits for the acknowledgement of its own report, in microseconds.
pub(super) const SHORT_NAP: u32 = 20;

/// What a step of the work came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// There is nothing to do, or not yet.
    Nothing,
    /// A report was made, or a list looked through: there may be more.
    Progress,
    /// A report is under way, and the device works.
    Waiting,
}
