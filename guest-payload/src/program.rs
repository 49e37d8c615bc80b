//! What the payload does once it is up.

use abi::axes::Program;
use abi::boot::BootInfo;

use crate::metal::Metal;
use crate::timed::slow::Step;
use crate::transport::choose::choose;
use crate::transport::virtio_mmio::StartError;
use crate::{engine, timed};

mod knock;
mod obey;

/// Runs the program the boot words name.
///
/// # Errors
/// [`StartError`] if the balloon cannot be brought up.
pub fn run<M: Metal>(metal: &mut M, info: &BootInfo) -> Result<(), StartError> {
    match info.program {
        Program::Report => timed::run(metal, info)?,
        Program::Engine => engine::program::run(metal, info)?,
        Program::Knock => knock::run(metal, info),
        Program::Weigh => timed::weigh::run(metal, info),
        Program::SlowPrepare => choose(metal, info, timed::slow::Slowly(Step::Prepare))?,
        Program::SlowNotify => choose(metal, info, timed::slow::Slowly(Step::Notify))?,
        Program::SlowWait => choose(metal, info, timed::slow::Slowly(Step::Wait))?,
        Program::Company => timed::company::run(metal, info)?,
        Program::Obey => choose(metal, info, obey::Obey)?,
    }
    Ok(())
}
