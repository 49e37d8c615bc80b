//! The tiny KVM runner: boots the payload, takes its page reports over any transport, acts on them, and says
//! when each step happened.
//!
//! ```text
//!   timed        one report at a time under the stopwatch    engine   the guest's reporting core at work
//!    └─ trial    a machine put together, run, and looked at afterwards ─┘
//!        ├ probe      what this host can do
//!        ├ serve      who serves a doorbell: fetch → discard → complete
//!        │  ├ transport   a module a carrier, as in the payload
//!        │  │  └ balloon     the virtio device and its queue
//!        │  └ reclaim     what becomes of reported ranges
//!        ├ kvm        a machine and its processors, from /dev/kvm to the exit loop
//!        ├ memory     guest memory: the one checked door, the one madvise, residency
//!        └ axes       the choices, and which go together
//! ```
//!
//! A module imports from those below it only: what is below `trial` knows of no trial, and `trial` not of which kind.
//! Beside them, [`fault`] are bugs to be planted, and [`testing`] has the parts for benches and tests.
//!
//! The crate knows no experiment: what is compared with what, how often and in which order is the business of
//! the `bench` crate.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("pagehint measures KVM on x86_64 Linux, and nothing else");

pub mod axes;
pub mod balloon;
pub mod engine;
pub mod fault;
pub mod kvm;
pub mod linux;
pub mod memory;
pub mod probe;
pub mod reclaim;
pub mod serve;
pub mod testing;
pub mod timed;
mod transport;
pub mod trial;
