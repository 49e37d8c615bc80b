//! Files for other programs and for people, one format a file.

pub mod csv;
pub mod hlog;
pub mod json;
pub mod markdown;
