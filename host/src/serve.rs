//! Who serves a doorbell, and what is done for it.
//!
//! ```text
//!   server     who serves one processor: its thread, the device's, or the kernel itself
//!   services   … several processors
//!    └ service    fetch → discard → complete, stamped        stamps    … for whoever reads the trace
//!       across      … of several reports together             held      … which wait for one another
//!   in_kernel  what a module in the kernel says it did
//!   served     what all of them did
//!   worker     the device thread
//! ```

mod held;
mod in_kernel;
mod served;
mod server;
mod service;
mod services;
mod stamps;
mod worker;

pub use held::{HOLD, HeldCounts};
pub use service::Spent;
pub use worker::WorkerError;

pub(crate) use in_kernel::InKernel;
pub(crate) use served::Served;
pub(crate) use server::{Serve, Server};
pub(crate) use service::Service;
pub(crate) use services::{Services, Share};
pub(crate) use stamps::{Stamp, Stamps};
pub(crate) use worker::Worker;
