//! Trials of the guest's reporting engine: what to run ([`EngineSpec`]) and what comes out ([`EngineOutcome`]).
//!
//! The payload allocates and frees like a guest kernel and reports what its reporting core decides; see
//! [`abi::engine`]. Here are several virtual processors, memory that is watched from outside, and no stopwatch on
//! single reports: what is measured is what all of it costs the workload.
//!
//! ```text
//!   run            one trial: build, run, account
//!    ├ spec        what to run                              validate  whether it means anything, error   why not
//!    ├ info        what the guest is told of it
//!    ├ session     what the guest says
//!    │  ├ watch    resident and free memory over time
//!    │  └ settled  the guest's account of its pages against the kernel's
//!    ├ books       what the guest has counted
//!    └ outcome     what comes out
//! ```

mod books;
mod contents;
mod error;
mod info;
mod outcome;
mod run;
mod session;
mod settled;
mod spec;
mod validate;
mod watch;

pub use abi::engine::books::{Counter as GuestCounter, PassRecord, Tally};
pub use abi::engine::{GuestFault, Inhibited, Load, PerCpuLists, Reporting, Shuffle, Walk};
pub use abi::layout::VCPUS_MAX;

pub use contents::Looked;
pub use error::EngineSpecError;
pub use outcome::{Bucket, EngineOutcome, Flushed, Point, Settled};
pub use run::{run, run_planted};
pub use spec::EngineSpec;

#[cfg(feature = "test-support")]
pub use run::run_image;
