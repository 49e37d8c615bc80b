//! The choices of an experiment that the host has to know, and which of them go together. Those that the guest has to
//! know too are in [`abi::axes`].
//!
//! ```text
//!   way           how reports travel and what is done with them: all that has to go together
//!   rules         which values do, and why the others do not      set   some values of an axis
//!   every         all ways that do                                together   which two values do, and by which rules not
//!   fate          what becomes of reported pages by these
//!   doorbell, discard, backing, guest_ring, halt_poll    the axes
//! ```

mod backing;
mod discard;
mod doorbell;
mod every;
mod fate;
mod guest_ring;
mod halt_poll;
mod rules;
mod set;
mod together;
mod way;

pub use abi::axes::{
    Afterwards, Axis, Bell, Carrier, Completion, GuestRing, Program, RingFeatures, Workload,
};

pub use backing::Backing;
pub use discard::{Coalesce, Discard};
pub use doorbell::{Doorbell, KVMHINT, Match, Servicer, VHOST_PAGEHINT};
pub use every::{WAY_AXES, WayAxis};
pub use fate::Freed;
pub use guest_ring::RingChoice;
pub use halt_poll::HaltPoll;
pub use rules::{RULES, Rule, WayError};
pub use set::Set;
pub use together::{Together, Value};
pub use way::Way;
