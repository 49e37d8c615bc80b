//! The reporting engine: see [`abi::engine`].

use abi::boot::BootInfo;

use crate::metal::Metal;
use crate::virtio_mmio::StartError;

/// Runs the engine on this virtual processor.
pub(super) fn run<M: Metal>(_: &mut M, _: &BootInfo) -> Result<(), StartError> {
    Ok(())
}
