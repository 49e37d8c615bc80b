//! The guest that frees pages and reports them.
//!
//! Everything here runs on bare metal and in unit tests alike, over the [`metal::Metal`] seam; what only a
//! processor can do is in `bare/`, beside the `main.rs` that starts it. Nothing allocates.
//!
//! ```text
//!   program::report   the measured loop: free → report → take back → touch
//!     ├ workload      which pages
//!     ├ oracle        what their contents must be
//!     ├ ledger        which are reported now, which ever were
//!     └ trace         time stamps, left for the host
//!   program::engine   a guest that allocates, frees and reports
//!     ├ load          who allocates and frees
//!     ├ buddy         the allocator: free lists, merging, migrate types, marks
//!     ├ reporting     what is reported when, and how it is found
//!     ├ witness       what every page holds
//!     ├ barrier       where all virtual processors wait for each other
//!     ├ lock          what virtual processors share is touched under one; where, says shared
//!     ├ books         what each of them counts
//!     └ laps          a stopwatch
//!   transport         how the host is told: one module a carrier, the same names as in the host
//!   virtio_mmio       brings the balloon up
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod barrier;
pub mod books;
pub mod buddy;
pub mod laps;
pub mod ledger;
pub mod load;
pub mod lock;
pub mod metal;
pub mod oracle;
pub mod program;
pub mod reporting;
pub mod shared;
pub mod trace;
pub mod transport;
pub mod virtio_mmio;
pub mod witness;
pub mod workload;
