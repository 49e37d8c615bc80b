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
//! | [`layout`] | where things are in guest physical memory |
//! | [`boot`] | what the guest is told when it starts |
//! | [`control`] | how the guest says where it stands |
//! | [`step`] | what a guest that obeys is told to do next |
//! | [`calls`] | doorbells, and what a guest asks for with one |
//! | [`wire`] | what carries ranges: the batch page, the split ring, the virtio balloon |
//! | [`notes`] | the words the guest keeps about itself |
//! | [`violation`] | what its oracles find wrong |
//! | [`digest`] | how both sides fingerprint a set of pages |
//! | [`tally`] | histograms in guest memory |
//! | [`timed`] | one report under the stopwatch: time stamps, and which pages are reported |
//! | [`engine`] | the reporting engine: what it is told, where its books are, what it counts |

#![no_std]
#![forbid(unsafe_code)]

pub mod addr;
pub mod axes;
pub mod boot;
pub mod calls;
pub mod control;
pub mod digest;
pub mod engine;
pub mod layout;
pub mod notes;
pub mod step;
pub mod tally;
pub mod timed;
pub mod violation;
pub mod wire;
