//! The transport is chosen here, once.

use std::sync::Arc;

use super::{BatchPage, Empty, PackedRing, Registers, SplitRing, Transport};
use crate::axes::Carrier;
use crate::balloon::SharedBalloon;
use crate::memory::GuestRam;

/// The transport of a carrier.
pub(crate) fn over(carrier: Carrier, ram: &Arc<GuestRam>, balloon: &SharedBalloon) -> Box<dyn Transport> {
    match carrier {
        Carrier::Empty => Box::new(Empty::default()),
        Carrier::Registers => Box::new(Registers::new(Arc::clone(ram))),
        Carrier::Batch => Box::new(BatchPage::new(Arc::clone(ram))),
        Carrier::Ring => Box::new(SplitRing::new(balloon.clone())),
        Carrier::PackedRing => Box::new(PackedRing::new(balloon.clone())),
    }
}
