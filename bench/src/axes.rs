//! The choices of an experiment as people and files name them.

pub mod meaning;
pub mod named;
pub mod rung;
pub mod source;
pub mod way;
