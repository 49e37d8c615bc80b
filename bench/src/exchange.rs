//! What a run is to others: another run to hold against, one of many, a file that other programs read.

pub mod apart;
pub mod cell;
pub mod diff;
pub mod export;
pub mod merge;
pub mod set;
