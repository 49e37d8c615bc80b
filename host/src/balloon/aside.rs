//! Chains and lists of the reporting queue that are completed later, after others were fetched.

use super::packed_queue::Span;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aside {
    /// Head of the chain, or id of the list.
    pub(super) number: u16,
    /// Where the list lies, if it is one.
    pub(super) list: Option<Span>,
}
