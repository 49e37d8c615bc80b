//! What guest and host must agree on, and nothing else.
//!
//! Both sides of every transport include this crate: the bare-metal payload and the KVM runner. It has no
//! dependency, no `unsafe` and no behaviour beyond checked conversions, so that reading it is reading the
//! whole contract.
//!
//! | module | what is agreed |
//! |---|---|
//! | [`addr`] | addresses, frames, orders, ranges: the only shifts by 12 in the project |
//! | [`axes`] | the choices of an experiment that the guest has to know |
//! | [`boot`] | what the guest is told when it starts |
//! | [`layout`] | where things are in guest physical memory |
//! | [`calls`] | doorbells, call numbers, the batch page, the control port |
//! | [`virtio`] | virtio-mmio, split ring and balloon constants |
//! | [`trace`] | where the guest leaves its time stamps and its oracle's findings |
//! | [`digest`] | how both sides fingerprint a set of pages |
//! | [`engine`] | the reporting engine: what it is told, where its books are, what it counts |
//! | [`tally`] | histograms in guest memory |

#![no_std]
#![forbid(unsafe_code)]

pub mod addr;
pub mod axes;
pub mod boot;
pub mod calls;
pub mod digest;
pub mod engine;
pub mod layout;
pub mod tally;
pub mod trace;
pub mod virtio;
