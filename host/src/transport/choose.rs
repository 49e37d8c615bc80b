//! The transport is chosen here, once.

use std::sync::{Arc, Mutex};

use super::{
    BatchPage, CallAndRing, Empty, HeatHint, Inflate, Log, PackedRing, Registers, RequestPage, SplitRing,
    StatusPage, Store, Transport,
};
use crate::axes::Carrier;
use crate::balloon::SharedBalloon;
use crate::kvm::Queued;
use crate::memory::GuestRam;

/// The transport of a carrier. `queued`: what KVM queues of the guest's writes, if it is told to.
pub(crate) fn over(
    carrier: Carrier,
    ram: &Arc<GuestRam>,
    balloon: &SharedBalloon,
    queued: Option<Arc<Mutex<Queued>>>,
) -> Box<dyn Transport> {
    match carrier {
        Carrier::Empty => Box::new(Empty::default()),
        Carrier::Registers => Box::new(Registers::new(Arc::clone(ram))),
        Carrier::Batch => Box::new(BatchPage::new(Arc::clone(ram))),
        Carrier::Ring => Box::new(SplitRing::new(balloon.clone())),
        Carrier::PackedRing => Box::new(PackedRing::new(balloon.clone())),
        Carrier::Log => Box::new(Log::new(Arc::clone(ram))),
        Carrier::Store => Box::new(Store::new(Arc::clone(ram), queued)),
        Carrier::Request => Box::new(RequestPage::new(Arc::clone(ram))),
        Carrier::Status => Box::new(StatusPage::new(Arc::clone(ram))),
        Carrier::Inflate => Box::new(Inflate::new(balloon.clone())),
        Carrier::CallAndRing => Box::new(CallAndRing::new(Arc::clone(ram), balloon.clone())),
        Carrier::HeatHint => Box::new(HeatHint::new(Arc::clone(ram))),
    }
}
