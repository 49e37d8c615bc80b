//! One report under the stopwatch.
//!
//! ```text
//!   program      the measured loop: free → report → take back → touch
//!     ├ workload     which pages
//!     ├ oracle       what their contents must be
//!     ├ ledger       which are reported now, which ever were
//!     ├ trace        time stamps, left for the host
//!     ├ weigh        the same stopwatch around empty calls, and none
//!     └ slow         the same loop with a delay planted in one of its steps
//! ```

pub mod ledger;
pub mod oracle;
pub mod program;
pub mod slow;
pub mod trace;
pub mod weigh;
pub mod workload;
