//! What the payload does once it is up.

use abi::axes::{Carrier, Program};
use abi::boot::BootInfo;

use crate::metal::Metal;
use crate::transport::choose::{bring_up, choose};
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
        Program::Report => choose(metal, info, timed::program::Report)?,
        Program::Engine => engine::program::run(metal, info)?,
        Program::Knock => knock::run(metal, info),
        Program::Obey => {
            if info.carrier == Carrier::Ring {
                bring_up(metal, info)?;
            }
            obey::run(metal);
        }
    }
    Ok(())
}
