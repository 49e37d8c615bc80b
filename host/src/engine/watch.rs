//! Resident and free memory over time, seen from a thread of its own: the guest is not asked, and not stopped.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use abi::addr::PAGE_SIZE;
use abi::engine::map::{Map, ZONE_FREE, ZONES};

use super::settled::residency;
use crate::kvm::{Cpu, GuestTsc, HostTsc, Pinned, TscOffset};
use crate::memory::{GuestRam, RamError, Residency};
use crate::trial::TrialError;

/// The most points kept.
const POINTS: usize = 4096;

/// What was resident and free when the guest's clock stood at `at`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Look {
    pub(super) at: GuestTsc,
    /// Bytes.
    pub(super) resident: u64,
    /// Bytes.
    pub(super) free: u64,
}

/// Points at equal distances. When there is no room for more every other one goes, and they come half as often.
#[derive(Debug)]
struct Curve<T> {
    points: Vec<T>,
    interval: Duration,
}

impl<T> Curve<T> {
    fn new(interval: Duration) -> Self {
        Self { points: Vec::with_capacity(POINTS), interval }
    }

    fn push(&mut self, point: T) {
        if self.points.len() == POINTS {
            let mut even = false;
            self.points.retain(|_| {
                even = !even;
                even
            });
            self.interval *= 2;
        }
        self.points.push(point);
    }
}

/// A thread that looks from [`Watch::begin`] on until it is asked for what it saw.
#[derive(Debug)]
pub(super) struct Watch {
    tell: Sender<()>,
    thread: JoinHandle<Result<Curve<Look>, TrialError>>,
}

impl Watch {
    /// Starts the thread, on `place` if one is given; it waits.
    pub(super) fn start(
        ram: &Arc<GuestRam>,
        map: Map,
        offset: TscOffset,
        interval: Duration,
        place: Option<Cpu>,
    ) -> Result<Self, TrialError> {
        let mut eye = Eye { residency: residency(ram, map)?, ram: Arc::clone(ram), map, offset };
        let (tell, told) = channel();
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || {
                // A new thread inherits the processor of the one that starts it, which runs the guest.
                let _pinned = Pinned::to(place);
                watch(&mut eye, Curve::new(interval), &told)
            })
            .map_err(TrialError::Thread)?;
        Ok(Self { tell, thread })
    }

    /// The measured part begins.
    pub(super) fn begin(&self) {
        // A thread that has failed already is found out at the end.
        let _ = self.tell.send(());
    }

    /// What was seen, with a last look now.
    pub(super) fn end(self) -> Result<Vec<Look>, TrialError> {
        drop(self.tell);
        match self.thread.join() {
            Ok(curve) => curve.map(|curve| curve.points),
            Err(_) => Err(TrialError::Watch),
        }
    }
}

fn watch(eye: &mut Eye, mut curve: Curve<Look>, told: &Receiver<()>) -> Result<Curve<Look>, TrialError> {
    if told.recv().is_err() {
        return Ok(curve);
    }
    let mut next = Instant::now();
    loop {
        curve.push(eye.look()?);
        next += curve.interval;
        let now = Instant::now();
        if next < now {
            // Looking took longer than that: what was missed is missed.
            next = now;
        }
        match told.recv_timeout(next - now) {
            Err(RecvTimeoutError::Timeout) | Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => {
                curve.push(eye.look()?);
                return Ok(curve);
            }
        }
    }
}

struct Eye {
    residency: Residency,
    ram: Arc<GuestRam>,
    map: Map,
    offset: TscOffset,
}

impl Eye {
    fn look(&mut self) -> Result<Look, TrialError> {
        let resident = self.residency.count()? * PAGE_SIZE;
        Ok(Look { at: self.offset.to_guest(HostTsc::now()), resident, free: free(&self.ram, self.map)? })
    }
}

/// Bytes the guest counts as free; no more than there are.
fn free(ram: &GuestRam, map: Map) -> Result<u64, RamError> {
    let mut pages = 0_u64;
    for zone in 0..ZONES {
        pages = pages.saturating_add(ram.read(map.zone(zone).offset(ZONE_FREE))?);
    }
    Ok(pages.min(map.managed()) * PAGE_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::addr::Order;
    use abi::layout::ARENA;

    #[test]
    fn a_full_curve_is_thinned_out_and_slows_down() {
        let mut curve = Curve::new(Duration::from_millis(1));
        for point in 0..POINTS {
            curve.push(point);
        }
        assert_eq!((curve.points.len(), curve.interval), (POINTS, Duration::from_millis(1)));
        curve.push(POINTS);
        assert_eq!((curve.points.len(), curve.interval), (POINTS / 2 + 1, Duration::from_millis(2)));
        assert!(curve.points.iter().enumerate().all(|(at, point)| *point == 2 * at), "equally far apart");
        for _ in 0..10 * POINTS {
            curve.push(0);
        }
        assert!(curve.points.len() <= POINTS && curve.points.capacity() == POINTS);
    }

    #[test]
    fn a_watch_sees_what_is_resident_and_free() {
        const PAGES: u64 = 1 << 13;
        let ram = Arc::new(GuestRam::new(ARENA.0 + (PAGES << 12)).unwrap());
        let map = Map::new(PAGES);
        crate::memory::advise(&ram, ram.whole(), crate::memory::Advice::NoHugePage).unwrap();
        let block = |index| map.block(index, Order::PAGE).gpa();
        ram.write(block(3), 1).unwrap();
        ram.write(map.zone(1).offset(ZONE_FREE), 5).unwrap();
        let watch = Watch::start(&ram, map, TscOffset(0), Duration::from_secs(3600), None).unwrap();
        watch.begin();
        std::thread::sleep(Duration::from_millis(100));
        ram.write(block(4), 1).unwrap();
        ram.write(map.zone(0).offset(ZONE_FREE), u64::MAX).unwrap();
        let looks = watch.end().unwrap();
        let [first, last] = looks.as_slice() else { panic!("{looks:?}") };
        assert_eq!((first.resident, first.free), (PAGE_SIZE, 5 * PAGE_SIZE));
        assert_eq!((last.resident, last.free), (2 * PAGE_SIZE, map.managed() * PAGE_SIZE));
        assert!(first.at < last.at);
    }

    #[test]
    fn a_watch_that_never_began_has_seen_nothing() {
        let ram = Arc::new(GuestRam::new(ARENA.0 + (32 << 20)).unwrap());
        let watch =
            Watch::start(&ram, Map::new(1 << 13), TscOffset(0), Duration::from_millis(1), None).unwrap();
        assert_eq!(watch.end().unwrap(), []);
    }
}
