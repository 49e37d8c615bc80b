//! One report under the stopwatch.
//!
//! ```text
//!   program      the measured loop: free → report → take back → touch
//!   rounds       the same where many reports go together
//!     ├ gather       … over a carrier that gathers them, and rings once
//!     ├ flight       … over a ring, several of them in flight
//!     ├ workload     which pages
//!     ├ oracle       what their contents must be
//!     ├ ledger       which are reported now, which ever were
//!     ├ trace        time stamps, left for the host
//!     ├ weigh        the same stopwatch around empty calls, and none
//!     └ slow         the same loop with a delay planted in one of its steps
//!   company      the same loop on several processors: who meets whom when
//!     ├ turns        a carrier that is one for all
//!     └ fault        those that fault instead
//! ```

pub mod company;
mod fault;
mod flight;
mod gather;
pub mod ledger;
pub mod oracle;
pub mod program;
mod rounds;
pub mod slow;
pub mod trace;
mod turns;
pub mod weigh;
pub mod workload;

use abi::axes::{Carrier, RingFeatures};
use abi::boot::BootInfo;

use crate::metal::Metal;
use crate::transport::choose::{choose, start_packed, start_split};
use crate::transport::virtio_mmio::StartError;
use crate::transport::{Log, Options, PackedFlight, Plain, SplitFlight, StoreQueue};
use program::Reporter;

/// Runs the measured program, in the loop that the boot words ask for.
///
/// # Errors
/// [`StartError`] if the balloon cannot be brought up.
pub fn run<M: Metal>(metal: &mut M, info: &BootInfo) -> Result<(), StartError> {
    match info.carrier {
        Carrier::Ring | Carrier::PackedRing if info.in_flight > 1 => {
            if info.ring_features == RingFeatures::NONE {
                fly(metal, info, Plain)?;
            } else {
                fly(metal, info, info.ring_features)?;
            }
        }
        Carrier::Log => rounds::run(metal, info, Log::of(metal.vcpu()), Reporter::gather),
        Carrier::Store if info.gathers > 0 => {
            rounds::run(metal, info, StoreQueue::default(), Reporter::gather);
        }
        _ => choose(metal, info, program::Report)?,
    }
    Ok(())
}

/// The same over a ring with several reports in flight.
fn fly<M: Metal, O: Options>(metal: &mut M, info: &BootInfo, options: O) -> Result<(), StartError> {
    let entries = |number: u64| u16::try_from(number).map_err(|_| StartError::Queue);
    let (length, most) = (entries(info.batch)?, entries(info.in_flight)?);
    if info.carrier == Carrier::PackedRing {
        let ring = PackedFlight::new(start_packed(metal, info, options)?, length, most);
        rounds::run(metal, info, ring, Reporter::fly);
    } else {
        let ring = SplitFlight::new(start_split(metal, info, options)?, length, most);
        rounds::run(metal, info, ring, Reporter::fly);
    }
    Ok(())
}
