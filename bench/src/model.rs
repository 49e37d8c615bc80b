//! What a report costs, as a sum of terms: an exit or a kick, a wake-up, so much a range, a discard and a refault. Fitted to
//! a run, or taken from what others published, it says what a host would show that nobody has measured.
//!
//! | module | what |
//! |---|---|
//! | `term` | the terms |
//! | `cost` | which of them a report is made of |
//! | `scale` | nanoseconds, cycles, instructions |
//! | `profile` | a host as its terms, and its file |
//! | `published` | the profiles that are built in |
//! | `predict` | a report on a host |
//! | `even` | from how many ranges on virtio is no dearer, and who wins |
//! | `winners` | a map of who is the cheapest |
//! | `worth` | how long a block must stay free for its report to pay |
//! | `observed` | the cells of a run |
//! | `solve` | least squares, and which terms rows can tell apart |
//! | `fit` | from cells to terms, and how far off it is |
//! | `agree` | whether two runs say the same |
//! | `tables` | all of it as tables and sentences |
//! | `floors` | from what `doctor` finds to a host nobody has run |
//! | `examined` | a file of `doctor` as a profile |

pub mod agree;
pub mod cost;
pub mod even;
pub mod examined;
pub mod fit;
pub mod floors;
pub mod observed;
pub mod predict;
pub mod profile;
pub mod published;
pub mod scale;
mod solve;
pub mod tables;
pub mod term;
pub mod winners;
pub mod worth;
