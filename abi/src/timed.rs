//! One report under the stopwatch: what the guest leaves for the host to read about it.
//!
//! | module | what is agreed |
//! |---|---|
//! | [`ledger`] | which pages are reported now, which ever were |
//! | [`trace`] | the time stamps of every call and report |

pub mod ledger;
pub mod trace;
