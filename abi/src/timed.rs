//! One report under the stopwatch: what the guest leaves for the host to read about it.
//!
//! | module | what is agreed |
//! |---|---|
//! | [`burst`] | with which calls the stopwatch is weighed |
//! | [`company`] | several processors: who reports, who faults, what each has for itself |
//! | [`ledger`] | which pages are reported now, which ever were |
//! | [`trace`] | the time stamps of every call and report |

pub mod burst;
pub mod company;
pub mod ledger;
pub mod trace;

/// The most reports that may be in flight at once.
pub const IN_FLIGHT_MOST: usize = 8;

/// A planted delay, in ticks: an order of magnitude above a call's own phases, and nothing a preemption would be.
pub const SLOW: u64 = 150_000;
