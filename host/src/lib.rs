//! The tiny KVM runner: boots the payload, takes its page reports over any transport, acts on them, and says
//! when each step happened.
//!
//! ```text
//!   run            one trial: build, run, account            probe     what this host can do
//!    ├ ram         guest memory, the one checked door        facts     … as a value
//!    ├ image, boot the payload and its first instruction     kvm       /dev/kvm, or why not
//!    ├ assembly    puts the parts together
//!    ├ machine     what is built                             wiring    what is wired to it
//!    ├ processor   a vCPU and its exit loop
//!    ├ watchdog    deadlines
//!    ├ session     the guest's control calls                 pairing   both sides' stamps → samples
//!    │  └ proof    ledger against residency                  stats     KVM's own counters
//!    │                                                       idle      whether the kernel idled
//!    ├ server      who serves: this thread or the worker     worker    the device thread
//!    ├ service     fetch → discard → complete, stamped
//!    │  ├ transport  a module a carrier, as in the payload
//!    │  └ reclaim    coalesce, discard
//!    └ balloon     the virtio device and its queue
//! ```
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
pub mod memory;
pub mod probe;
pub mod reclaim;
pub mod serve;
pub mod testing;
pub mod timed;
mod transport;
pub mod trial;
