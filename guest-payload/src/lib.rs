//! The guest that frees pages and reports them.
//!
//! Everything here runs on bare metal and in unit tests alike, over the [`metal::Metal`] seam; what only a
//! processor can do is in `bare/`, beside the `main.rs` that starts it. Nothing allocates.
//!
//! ```text
//!   program       which program the boot words name; two are small: knock, obey
//!     ├ timed         one report under the stopwatch: free → report → take back → touch
//!     ├ engine        a guest that allocates, frees and reports
//!     └ transport     how the host is told: one module a carrier, the same names as in the host
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod engine;
pub mod metal;
pub mod program;
pub mod timed;
pub mod transport;
