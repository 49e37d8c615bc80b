//! Numbers and how they are shown: units, intervals, tables, curves. Knows nothing of guests.

pub mod check;
pub mod curve;
pub mod interval;
pub mod json;
pub mod number;
pub mod quantiles;
pub mod random;
pub mod scaling;
pub mod size;
pub mod table;
pub mod tail;
pub mod time;
pub mod unit;
