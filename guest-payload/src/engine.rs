//! A guest that allocates, frees and reports: see [`abi::engine`].
//!
//! ```text
//!   program      sets everything up, runs the load, looks at every page once more
//!     ├ load         who allocates and frees
//!     ├ reporting    what is reported when, and how it is found
//!     ├ buddy        the allocator: free lists, merging, migrate types, marks
//!     ├ witness      what every page holds
//!     ├ barrier      where all virtual processors wait for each other
//!     ├ lock         what virtual processors share is touched under one; where, says shared
//!     ├ laps         a stopwatch
//!     └ books        what each virtual processor counts
//! ```

pub mod barrier;
pub mod books;
pub mod buddy;
pub mod laps;
pub mod load;
pub mod lock;
pub mod program;
pub mod reporting;
pub mod shared;
#[cfg(test)]
mod testing;
pub mod witness;
