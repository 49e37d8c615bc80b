//! A virtual machine and its processors, from `/dev/kvm` to the exit loop. Nothing here knows what the guest is run
//! for.
//!
//! ```text
//!   open           /dev/kvm, or why not                      error     why there is no machine, why a processor stopped
//!   machine        what is built
//!    ├ image, boot the payload and its first instruction     wiring    memory, hypercalls, interrupt and kick
//!    └ processor   a virtual processor and its exit loop     exits     … counted
//!       ├ board    whatever an exit can reach                panic     the payload's last words
//!       ├ queued   what KVM queued of the guest's writes
//!       └ ioctl    what kvm-ioctls does not wrap
//!   stock          a machine for a kernel that is not ours
//!   confidential   whether this machine is a guest whose memory is not its own
//!   watchdog       deadlines                                 placement which thread runs on which processor
//!   affinity       sets of processors, and pins              topology  cores, their threads and memory nodes
//!   clock          the time stamp counter of either side     stats     KVM's own counters
//!   watch          the stopwatch, running or stopped         idle      whether the kernel idled
//!   module         what modules of ours say they have done
//! ```

mod affinity;
mod board;
mod boot;
mod clock;
mod confidential;
mod error;
mod exits;
mod foreign;
pub(crate) mod idle;
mod image;
mod ioctl;
mod machine;
pub(crate) mod module;
mod open;
mod panic;
mod placement;
mod processor;
mod queued;
mod stats;
mod stock;
mod thread_time;
mod topology;
mod watch;
mod watchdog;
mod wiring;

pub use boot::BootError;
pub use clock::Counter;
pub use error::{BuildError, ExitError};
pub use exits::Exits;
#[cfg(any(test, feature = "test-support"))]
pub(crate) use foreign::Call as ForeignCall;
pub use image::ImageError;
pub use module::{VHOST_DEVICE, not_loaded};
pub use open::{Flavour, KvmError};
pub use placement::Placed;

pub(crate) use affinity::{Cpu, Pin, Pinned};
pub(crate) use board::{Board, Flow, Request};
pub(crate) use clock::{GuestTsc, HostTsc, TscOffset, counter};
pub(crate) use exits::Counts;
pub(crate) use image::{PAYLOAD, PAYLOAD_TARGET};
pub(crate) use machine::{Blueprint, Machine};
pub(crate) use open::{flavour, open};
pub(crate) use panic::panic_message;
pub(crate) use placement::Placement;
pub(crate) use processor::Processor;
pub(crate) use queued::Queued;
#[cfg(any(test, feature = "test-support"))]
pub(crate) use queued::Write;
pub(crate) use stats::Statistics;
pub(crate) use stock::{BALLOON_LINE, Entry, Ports, SERIAL_LINE, SERIAL_PORT, SERIAL_PORTS, StockMachine};
pub(crate) use thread_time::{Thread, ThreadTime};
pub(crate) use watch::{Running, Watch};
#[cfg(test)]
pub(crate) use watchdog::Kicked;
pub(crate) use watchdog::{Pulse, watched};
pub(crate) use wiring::Listener;
