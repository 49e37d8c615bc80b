//! Linux as a guest: a stock kernel with its own drivers, whose only process is ours and says how far it is.
//!
//! ```text
//!   spec       what is run                                 outcome   what came of it
//!   run        one trial: build, run, look at what is left
//!    ├ load    a kernel, its first process and its parameters in guest memory
//!    ├ acpi    the tables by which a kernel finds its devices
//!    ├ session what the guest says, and what is looked at then; console: its serial line
//!    └ account what reports named, held against what is resident; noting: where they are noted
//!   error      why there is no outcome
//! ```
//!
//! The guest's only process is the *agent* (`guest-payload/linux/agent`), process 1 of an initramfs. It says where it
//! stands on the control port, as the payload does, and what it found in lines on the serial port.

mod account;
mod acpi;
mod console;
mod error;
mod load;
mod noting;
mod outcome;
mod run;
mod session;
mod spec;

pub use account::{Account, SHARES, Told};
pub use error::LinuxError;
pub use load::{LoadError, check_kernel};
pub use outcome::{LinuxOutcome, Mark};
pub use run::{check, run};
pub use spec::{LinuxSpec, Report};

/// The agent as this build has it: a static program; empty where no static C library was found to link it with.
pub const AGENT: &[u8] = include_bytes!(env!("PAGEHINT_AGENT"));
/// What the lines of the agent begin with.
pub const SAYS: &str = "agent: ";
