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
//!     ├ transport     how the host is told: one module a carrier, the same names as in the host
//!     └ trace         time stamps, left for the host
//!   buddy             the allocator: free lists, merging, migrate types, marks
//!     ├ lock          what virtual processors share is touched under one
//!     └ books         what each of them counts
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod books;
pub mod buddy;
pub mod ledger;
pub mod lock;
pub mod metal;
pub mod oracle;
pub mod program;
pub mod trace;
pub mod transport;
pub mod virtio_mmio;
pub mod workload;
