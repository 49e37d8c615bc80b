//! The reporting engine: see [`abi::engine`]. Brings up what was chosen, runs the load, and looks at everything once
//! more.

use abi::axes::{Axis, Carrier, RingFeatures};
use abi::boot::BootInfo;
use abi::control::Control;
use abi::engine::books::shared::INHIBITED;
use abi::engine::info::{EngineInfo, WORDS};
use abi::engine::map::Map;
use abi::engine::{GuestFault, Inhibited, Reporting, Walk};
use abi::layout::ENGINE;

use crate::engine::barrier;
use crate::engine::books::Books;
use crate::engine::buddy::{Allocator, Config};
use crate::engine::load::{self, Owner};
use crate::engine::reporting::{Batch, Core, Parts, Reporter};
use crate::engine::witness::Witness;
use crate::metal::Metal;
use crate::transport::choose::{areas, packed, split};
use crate::transport::virtio_mmio::{self, StartError};
use crate::transport::{
    BatchPage, CallAndRing, Empty, HeatHint, Inflate, Options, PackedRing, Plain, Registers, RequestPage,
    SplitRing, StatusPage, Store, Transport,
};

/// The virtual processor that sets up what all share.
const FIRST: u32 = 0;
/// The nap of the others meanwhile, in microseconds.
const NAP: u32 = 50;

/// Runs the engine on this virtual processor.
///
/// # Errors
/// [`StartError`] if the balloon cannot be brought up.
///
/// # Panics
/// If the words of the engine are of another build.
pub fn run<M: Metal>(metal: &mut M, boot: &BootInfo) -> Result<(), StartError> {
    let words = core::array::from_fn::<u64, WORDS, _>(|i| metal.load(ENGINE.offset(i as u64 * 8)));
    let info = EngineInfo::from_words(&words).unwrap_or_else(|error| panic!("{error}"));
    let inhibited = set_up(metal, boot, &info)?;
    match boot.carrier {
        // No host starts such a trial: an empty call names no page, and what is gathered is acknowledged with no report.
        Carrier::Empty | Carrier::Log => choose(metal, boot, &info, inhibited, &mut Empty::new(boot.bell)),
        Carrier::Store => choose(metal, boot, &info, inhibited, &mut Store::default()),
        Carrier::Registers => choose(metal, boot, &info, inhibited, &mut Registers::default()),
        Carrier::Batch => {
            let mut page = BatchPage::of(metal.vcpu());
            choose(metal, boot, &info, inhibited, &mut page);
        }
        Carrier::Ring => {
            if boot.ring_features == RingFeatures::NONE {
                let mut ring = split_ring(metal, boot, Plain)?;
                choose(metal, boot, &info, inhibited, &mut ring);
            } else {
                let mut ring = split_ring(metal, boot, boot.ring_features)?;
                choose(metal, boot, &info, inhibited, &mut ring);
            }
        }
        Carrier::PackedRing => {
            if boot.ring_features == RingFeatures::NONE {
                let mut ring = packed_ring(metal, boot, Plain)?;
                choose(metal, boot, &info, inhibited, &mut ring);
            } else {
                let mut ring = packed_ring(metal, boot, boot.ring_features)?;
                choose(metal, boot, &info, inhibited, &mut ring);
            }
        }
        Carrier::Request => {
            let mut page = RequestPage::place(metal);
            choose(metal, boot, &info, inhibited, &mut page);
        }
        // Its entries are of one size, and the core reports blocks of several: no host starts such a trial.
        Carrier::Status => {
            let mut page = StatusPage::of(metal.vcpu(), info.min_order);
            choose(metal, boot, &info, inhibited, &mut page);
        }
        // The allocator takes reported blocks back without a word: no host starts such a trial either.
        Carrier::Inflate => {
            let mut queues = Inflate::new(metal, info.min_order, boot.completion);
            choose(metal, boot, &info, inhibited, &mut queues);
        }
        Carrier::CallAndRing => {
            let mut ring = CallAndRing::over(split_ring(metal, boot, Plain)?);
            choose(metal, boot, &info, inhibited, &mut ring);
        }
        Carrier::HeatHint => {
            let mut page = HeatHint::of(metal.vcpu());
            choose(metal, boot, &info, inhibited, &mut page);
        }
    }
    Ok(())
}

/// This processor's end of the split ring that all share.
fn split_ring<O: Options>(
    metal: &mut impl Metal,
    boot: &BootInfo,
    options: O,
) -> Result<SplitRing<O>, StartError> {
    let at = split(boot)?;
    Ok(if metal.vcpu() == FIRST {
        SplitRing::new(metal, at, boot.completion, options)
    } else {
        SplitRing::beside(at, boot.completion, options)
    })
}

/// This processor's end of the packed ring that all share.
fn packed_ring<O: Options>(
    metal: &mut impl Metal,
    boot: &BootInfo,
    options: O,
) -> Result<PackedRing<O>, StartError> {
    let at = packed(boot)?;
    Ok(if metal.vcpu() == FIRST {
        PackedRing::new(metal, at, boot.completion, options)
    } else {
        PackedRing::beside(at, boot.completion, options)
    })
}

/// Has the first processor bring up the carrier and make the memory free, and the others wait for it. Says whether there
/// can be reporting.
fn set_up(metal: &mut impl Metal, boot: &BootInfo, info: &EngineInfo) -> Result<Inhibited, StartError> {
    let map = Map::new(boot.arena_pages);
    let books = Books::of(map, metal.vcpu());
    if metal.vcpu() == FIRST {
        let inhibited = bring_up(metal, boot, info)?;
        metal.store(INHIBITED, inhibited.number());
        Allocator::<true>::new(map, Config::default()).initialise(metal);
    }
    barrier::wait(metal, &books, info.vcpus, |metal, _| metal.idle(NAP));
    Ok(Inhibited::from_number(metal.load(INHIBITED)).unwrap_or(Inhibited::No))
}

fn bring_up(metal: &mut impl Metal, boot: &BootInfo, info: &EngineInfo) -> Result<Inhibited, StartError> {
    if info.reporting != Reporting::On {
        return Ok(Inhibited::No);
    }
    // A word of eight equal bytes: either half of it is what the balloon is told.
    let poison = info.poisoned.then(|| virtio_mmio::low_half(info.poison));
    match boot.carrier {
        Carrier::Ring | Carrier::PackedRing | Carrier::CallAndRing => {
            match virtio_mmio::start(metal, areas(boot)?, poison)? {
                virtio_mmio::Started::Reporting => Ok(Inhibited::No),
                virtio_mmio::Started::PoisonNotOffered => Ok(Inhibited::PoisonNotNegotiated),
            }
        }
        _ if info.poisoned => Ok(Inhibited::PoisonUnsaid),
        _ => Ok(Inhibited::No),
    }
}

/// Whether the hook is compiled in is decided here, once.
fn choose<M: Metal>(
    metal: &mut M,
    boot: &BootInfo,
    info: &EngineInfo,
    inhibited: Inhibited,
    transport: &mut dyn Transport<M>,
) {
    match info.reporting {
        Reporting::Absent => work::<M, false>(metal, boot, info, false, transport),
        Reporting::Off => work::<M, true>(metal, boot, info, false, transport),
        Reporting::On => work::<M, true>(metal, boot, info, inhibited == Inhibited::No, transport),
    }
}

fn work<M: Metal, const REPORTS: bool>(
    metal: &mut M,
    boot: &BootInfo,
    info: &EngineInfo,
    reports: bool,
    transport: &mut dyn Transport<M>,
) {
    let vcpu = metal.vcpu();
    let map = Map::new(boot.arena_pages);
    let books = Books::of(map, vcpu);
    let allocator = Allocator::<REPORTS>::new(
        map,
        Config {
            marks: reports,
            boundaries: reports && info.walk == Walk::Boundary,
            keep_mark: info.fault == GuestFault::KeepMark,
        },
    );
    let witness = Witness::new(boot, info, map, books);
    let mut batch = Batch::new(info.capacity);
    let batch = &mut batch;
    let reporter = Reporter::new(Parts { boot, info, allocator, books, witness, transport, batch, vcpu });
    let core = Core::new(info, reporter, reports);
    let mut owner = Owner::new(info, boot.seed, vcpu, books, witness, core);

    witness.inhabit(metal, vcpu, info.vcpus);
    owner.meet(metal);
    if vcpu == FIRST {
        metal.control(Control::Ready);
    }
    load::run(&mut owner, metal);
    owner.finish(metal);
    metal.control(if vcpu == FIRST { Control::Done } else { Control::Parked });
}

#[cfg(test)]
mod tests;
