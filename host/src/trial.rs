//! What every kind of trial needs: a machine put together, its processors run, and why there is no outcome. Nothing here
//! knows what is measured.
//!
//! ```text
//!   assembly   memory, machine and device, and a service for each processor
//!   account    what all processors did
//!   told       what a guest is told of its way
//!   seat       what a processor's exits can reach
//!   team       a thread for each processor; the first error stops them all
//!   deadline   how long a guest may take over nothing
//!   part       the measured part: begun once, ended once
//!   outcome    what every trial is asked at its end
//!   error      why there is nothing to read
//! ```

mod account;
mod assembly;
mod deadline;
mod error;
mod outcome;
mod part;
mod seat;
pub(crate) mod team;
mod told;

pub use error::TrialError;
pub use outcome::Common;

pub(crate) use account::Account;
pub(crate) use assembly::{Assembly, Wanted};
pub(crate) use deadline::{patience, steady, unless_stopped, watched};
pub(crate) use outcome::{ended, not_refused_by_kvm, violations};
pub(crate) use part::{Part, processor_time};
pub(crate) use seat::Seat;
pub(crate) use told::told;
