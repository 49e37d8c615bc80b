//! Timed trials: one report at a time under the stopwatch. What to run ([`TimedSpec`]), what comes out report by report
//! ([`Sample`]) and in the end ([`Outcome`]).
//!
//! ```text
//!   run            one trial: build, run, account
//!    ├ spec        what to run, and whether it means anything
//!    ├ info        what the guest is told of it
//!    ├ session     what the guest says: drain its trace, prove discards, mark what is measured
//!    │  ├ stream   the trace of a processor      pairing  both sides' stamps → samples
//!    │  └ proof    ledger against residency
//!    ├ company     what its other processors say
//!    ├ stopwatch   what the stopwatch itself costs
//!    └ sample, outcome    what comes out
//! ```

mod collateral;
mod company;
mod info;
mod outcome;
mod pairing;
mod proof;
mod run;
mod sample;
mod session;
mod spec;
mod stopwatch;
mod stream;

pub use crate::kvm::module::ModuleCounts;
pub use collateral::Collateral;
pub use outcome::{Outcome, Proof, Threads};
pub use run::{run, run_planted};
pub use sample::{Observer, Sample};
pub use spec::{TimedSpec, TimedSpecError};
pub use stopwatch::{Stopwatch, Weight};

pub(crate) use run::assemble;
#[cfg(feature = "test-support")]
pub(crate) use run::build;

#[cfg(any(test, feature = "test-support"))]
pub(crate) use pairing::{Call, sample};
