//! Numbers and how they are shown: units, intervals, tables, charts, curves. Knows nothing of guests.

pub mod chart;
pub mod check;
pub mod curve;
pub mod interval;
pub mod json;
pub mod map;
pub mod markup;
pub mod number;
pub mod power;
pub mod quantiles;
pub mod quantity;
pub mod random;
mod ranks;
pub mod scaling;
pub mod size;
pub mod table;
pub mod tail;
pub mod time;
pub mod unit;
pub mod unpaired;
