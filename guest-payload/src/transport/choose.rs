//! Which transport it is: decided once, when the payload is up, so that the measured loop is compiled for each.

use abi::axes::{Carrier, RingFeatures};
use abi::boot::BootInfo;
use abi::wire::virtio::Areas;
use abi::wire::{packed_ring, split_ring};

use super::virtio_mmio::{StartError, start, start_frames};
use super::{
    BatchPage, CallAndRing, Empty, HeatHint, Inflate, Log, Options, PackedRing, Plain, Registers,
    RequestPage, SplitRing, StatusPage, Store, StoreQueue, Transport,
};
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
            if info.ring_features == RingFeatures::NONE {
                let ring = start_split(metal, info, Plain)?;
                work.over(metal, info, ring);
            } else {
                let ring = start_split(metal, info, info.ring_features)?;
                work.over(metal, info, ring);
            }
        }
        Carrier::PackedRing => {
            if info.ring_features == RingFeatures::NONE {
                let ring = start_packed(metal, info, Plain)?;
                work.over(metal, info, ring);
            } else {
                let ring = start_packed(metal, info, info.ring_features)?;
                work.over(metal, info, ring);
            }
        }
        Carrier::Log => work.over(metal, info, Log::of(metal.vcpu())),
        Carrier::Store if info.gathers > 0 => work.over(metal, info, StoreQueue::default()),
        Carrier::Store => work.over(metal, info, Store::default()),
        Carrier::Request => {
            let page = RequestPage::place(metal);
            work.over(metal, info, page);
        }
        Carrier::Status => work.over(metal, info, StatusPage::of(metal.vcpu(), info.order)),
        Carrier::Inflate => {
            start_frames(metal)?;
            let queues = Inflate::new(metal, info.order, info.completion);
            work.over(metal, info, queues);
        }
        Carrier::CallAndRing => {
            start(metal, areas(info)?, None)?;
            let ring = SplitRing::new(metal, split(info)?, info.completion, Plain);
            work.over(metal, info, CallAndRing::over(ring));
        }
        Carrier::HeatHint => work.over(metal, info, HeatHint::of(metal.vcpu())),
    }
    Ok(())
}

/// Brings the balloon up with a split ring.
///
/// # Errors
/// [`StartError`] if it cannot be brought up.
pub fn start_split<M: Metal, O: Options>(
    metal: &mut M,
    info: &BootInfo,
    options: O,
) -> Result<SplitRing<O>, StartError> {
    start(metal, areas(info)?, None)?;
    Ok(SplitRing::new(metal, split(info)?, info.completion, options))
}

/// The same with a packed one.
///
/// # Errors
/// [`StartError`] if it cannot be brought up.
pub fn start_packed<M: Metal, O: Options>(
    metal: &mut M,
    info: &BootInfo,
    options: O,
) -> Result<PackedRing<O>, StartError> {
    start(metal, areas(info)?, None)?;
    Ok(PackedRing::new(metal, packed(info)?, info.completion, options))
}

/// The ring as the device is told, in the carrier's format and with its options.
///
/// # Errors
/// [`StartError::Queue`] if it would be larger than any can be.
pub fn areas(info: &BootInfo) -> Result<Areas, StartError> {
    let areas = match info.carrier {
        Carrier::PackedRing => packed(info)?.areas(),
        _ => split(info)?.areas(),
    };
    Ok(areas.with(info.ring_features))
}

/// Where a split ring lies.
///
/// # Errors
/// [`StartError::Queue`] if it would be larger than any can be.
pub fn split(info: &BootInfo) -> Result<split_ring::Placement, StartError> {
    Ok(split_ring::Placement::of(entries(info)?))
}

/// Where a packed ring lies.
///
/// # Errors
/// [`StartError::Queue`] if it would be larger than any can be.
pub fn packed(info: &BootInfo) -> Result<packed_ring::Placement, StartError> {
    Ok(packed_ring::Placement::of(entries(info)?))
}

/// The host never asks for more than the largest ring, which fits in 16 bits.
fn entries(info: &BootInfo) -> Result<u16, StartError> {
    u16::try_from(info.queue_size).map_err(|_| StartError::Queue)
}
