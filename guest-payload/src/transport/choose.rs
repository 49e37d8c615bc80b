//! Which transport it is: decided once, when the payload is up, so that the measured loop is compiled for each.

use abi::axes::Carrier;
use abi::boot::BootInfo;
use abi::wire::split_ring::Placement;

use super::virtio_mmio::{StartError, start};
use super::{BatchPage, Empty, Registers, SplitRing, Transport};
use crate::metal::Metal;

/// What is done over a transport, whichever it is.
pub trait Over<M: Metal> {
    /// Does it.
    fn over<T: Transport<M>>(self, metal: &mut M, info: &BootInfo, transport: T);
}

/// Does `work` over the transport that the boot words name.
///
/// # Errors
/// [`StartError`] if the balloon cannot be brought up.
pub fn choose<M: Metal>(metal: &mut M, info: &BootInfo, work: impl Over<M>) -> Result<(), StartError> {
    match info.carrier {
        Carrier::Empty => work.over(metal, info, Empty::new(info.bell)),
        Carrier::Registers => work.over(metal, info, Registers::default()),
        Carrier::Batch => work.over(metal, info, BatchPage::of(metal.vcpu())),
        Carrier::Ring => {
            let ring = bring_up(metal, info)?;
            work.over(metal, info, ring);
        }
    }
    Ok(())
}

/// Brings up the balloon, and the driver's end of its reporting queue.
///
/// # Errors
/// [`StartError`] if it cannot be brought up.
pub fn bring_up(metal: &mut impl Metal, info: &BootInfo) -> Result<SplitRing, StartError> {
    let at = placement(info)?;
    start(metal, at, None)?;
    Ok(SplitRing::new(metal, at, info.completion))
}

/// Where the ring lies.
///
/// # Errors
/// [`StartError::Queue`] if it would be larger than any can be.
pub fn placement(info: &BootInfo) -> Result<Placement, StartError> {
    // The host never asks for more than the largest ring, which fits in 16 bits.
    Ok(Placement::of(u16::try_from(info.queue_size).map_err(|_| StartError::Queue)?))
}
