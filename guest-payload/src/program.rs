//! What the payload does once it is up.

use abi::axes::{Carrier, Program};
use abi::boot::BootInfo;
use abi::wire::split_ring::Placement;

use crate::metal::Metal;
use crate::transport::{Batch, Empty, Registers, Ring};
use crate::virtio_mmio::{StartError, start};

mod engine;
mod knock;
mod obey;
mod report;

/// Runs the program the boot words name. This is where the transport is chosen, once.
///
/// # Errors
/// [`StartError`] if the balloon cannot be brought up.
pub fn run<M: Metal>(metal: &mut M, info: &BootInfo) -> Result<(), StartError> {
    match (info.program, info.carrier) {
        (Program::Report, Carrier::Empty) => report::run(metal, info, Empty::new(info.bell)),
        (Program::Report, Carrier::Registers) => report::run(metal, info, Registers::default()),
        (Program::Report, Carrier::Batch) => report::run(metal, info, Batch::of(metal.vcpu())),
        (Program::Report, Carrier::Ring) => {
            let ring = bring_up(metal, info)?;
            report::run(metal, info, ring);
        }
        (Program::Engine, _) => engine::run(metal, info)?,
        (Program::Knock, _) => knock::run(metal, info),
        (Program::Obey, carrier) => {
            if carrier == Carrier::Ring {
                bring_up(metal, info)?;
            }
            obey::run(metal);
        }
    }
    Ok(())
}

fn bring_up(metal: &mut impl Metal, info: &BootInfo) -> Result<Ring, StartError> {
    let at = placement(info)?;
    start(metal, at, None)?;
    Ok(Ring::new(metal, at, info.completion))
}

fn placement(info: &BootInfo) -> Result<Placement, StartError> {
    // The host never asks for more than the largest ring, which fits in 16 bits.
    Ok(Placement::of(u16::try_from(info.queue_size).map_err(|_| StartError::Queue)?))
}
