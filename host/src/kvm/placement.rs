//! Which processor each thread of a trial runs on: cores of their own, on one memory node, if there are as many.

use std::collections::BTreeSet;
use std::path::Path;

use super::affinity::{Cpu, CpuSet};
use super::topology::{Place, SYSFS, Topology};
use crate::axes::Servicer;

/// The processors of a trial's threads, chosen before any is pinned: a new thread inherits the processors of the one
/// that starts it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Placement {
    /// For each virtual processor's thread; empty where the scheduler decides about all threads.
    vcpus: Vec<Place>,
    /// For the thread that serves the ring.
    device: Option<Place>,
    /// For threads that only look: the watchdog's, and the one that watches memory.
    watchdog: Option<Place>,
    nodes: usize,
    remarks: Vec<String>,
}

/// Where the threads of a trial ran, as it is recorded. Processors and nodes are by the kernel's numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Placed {
    /// The processor of each virtual processor's thread; empty where the scheduler decided.
    pub vcpus: Vec<usize>,
    /// The processor of the device's thread, if there is one.
    pub device: Option<usize>,
    /// The processor of the watchdog's threads.
    pub watchdog: Option<usize>,
    /// The memory node of the first virtual processor's.
    pub node: Option<usize>,
    /// Whether guest memory was bound to that node; `None` where there is but one, or the scheduler decides.
    pub bound: Option<bool>,
    /// Whether two of the threads, the watchdog's aside, were hyper-threads of one core.
    pub siblings: bool,
    /// Whether two of them had to share one processor.
    pub shared: bool,
    /// What was not as it should be, in words.
    pub remarks: Vec<String>,
}

impl Placement {
    /// Processors for a machine with so many virtual processors, among those the calling thread may use.
    pub(crate) fn choose(vcpus: u32, servicer: Servicer) -> Self {
        Self::of(&Topology::read(Path::new(SYSFS), &CpuSet::allowed()), vcpus as usize, servicer)
    }

    /// The choice. The node is the one with the most cores; on it cores come first in which no thread has been placed,
    /// from the last one on and the one of processor 0, which takes most interrupts, after all others; then their second
    /// threads; then all of them again.
    fn of(topology: &Topology, vcpus: usize, servicer: Servicer) -> Self {
        let Topology { places, nodes, known } = topology;
        let mut placement = Self { nodes: *nodes, ..Self::default() };
        if !known {
            placement.remark("the kernel does not say which processors are threads of one core");
        }
        let Some(order) = order(places) else {
            placement.remark("one processor for all threads: the scheduler decides who runs");
            return placement;
        };
        let mut turns = order.iter().cycle().copied();
        placement.vcpus = turns.by_ref().take(vcpus).collect();
        placement.device = turns.next().filter(|_| matches!(servicer, Servicer::Device | Servicer::Polling));
        let timed: Vec<Place> = placement.timed().collect();
        let is_free = |place: &&Place| timed.iter().all(|taken| taken.cpu != place.cpu);
        let spare = |place: &&Place| timed.iter().all(|taken| taken.core != place.core);
        let elsewhere = || places.iter().rev().filter(is_free);
        // A core of its own, else a processor of its own, else that of the thread placed last, which is the device's if
        // there is one.
        placement.watchdog = order
            .iter()
            .find(spare)
            .or(elsewhere().find(spare))
            .or(elsewhere().next())
            .copied()
            .or(timed.last().copied());
        if placement.shared() {
            let (threads, there) = (timed.len(), order.len());
            placement.remark(&format!("{threads} threads share {there} processors of one node"));
        } else if placement.siblings() {
            placement.remark("two threads are hyper-threads of one core: each slows the other down");
        }
        placement
    }

    fn remark(&mut self, remark: &str) {
        self.remarks.push(remark.to_owned());
    }

    /// For the thread of a virtual processor; `None` where the scheduler decides.
    pub(crate) fn vcpu(&self, number: usize) -> Option<Cpu> {
        self.vcpus.get(number).map(|place| place.cpu)
    }

    /// For the thread that serves the ring.
    pub(crate) fn device(&self) -> Option<Cpu> {
        self.device.map(|place| place.cpu)
    }

    /// For threads that only look.
    pub(crate) fn watchdog(&self) -> Option<Cpu> {
        self.watchdog.map(|place| place.cpu)
    }

    /// The node guest memory is to be bound to, where there are several.
    pub(crate) fn node(&self) -> Option<usize> {
        self.vcpus.first().filter(|_| self.nodes > 1).map(|place| place.node)
    }

    fn timed(&self) -> impl Iterator<Item = Place> {
        self.vcpus.iter().copied().chain(self.device)
    }

    fn shared(&self) -> bool {
        self.vcpus.is_empty() || self.pairs(|a, b| a.cpu == b.cpu)
    }

    fn siblings(&self) -> bool {
        self.pairs(|a, b| a.core == b.core && a.cpu != b.cpu)
    }

    fn pairs(&self, alike: impl Fn(&Place, &Place) -> bool) -> bool {
        let timed: Vec<Place> = self.timed().collect();
        timed.iter().enumerate().any(|(at, a)| timed[at + 1..].iter().any(|b| alike(a, b)))
    }

    /// As it is recorded.
    pub(crate) fn placed(&self) -> Placed {
        Placed {
            vcpus: self.vcpus.iter().map(|place| place.cpu.0).collect(),
            device: self.device().map(|cpu| cpu.0),
            watchdog: self.watchdog().map(|cpu| cpu.0),
            node: self.vcpus.first().map(|place| place.node),
            bound: None,
            siblings: self.siblings(),
            shared: self.shared(),
            remarks: self.remarks.clone(),
        }
    }
}

/// The processors of the best node, the best first; `None` if there is only one, where it makes no difference.
fn order(places: &[Place]) -> Option<Vec<Place>> {
    let on = |node: usize| places.iter().filter(move |place| place.node == node);
    let cores = |node| on(node).filter(|place| is_first(places, place)).count();
    let nodes: BTreeSet<usize> = places.iter().map(|place| place.node).collect();
    let node = nodes.into_iter().max_by_key(|node| (cores(*node), on(*node).count(), *node))?;
    let mut order: Vec<Place> = on(node).copied().collect();
    order.sort_by_cached_key(|place| {
        let second = !is_first(places, place);
        (second, place.core == Cpu(0), std::cmp::Reverse(place.cpu))
    });
    (order.len() > 1).then_some(order)
}

/// Whether it is the first of its core that may be used.
fn is_first(places: &[Place], place: &Place) -> bool {
    places.iter().find(|other| other.core == place.core) == Some(place)
}

#[cfg(test)]
mod tests {
    use super::super::topology::planted::{adjacent, machine, offset, single, sysfs};
    use super::*;

    fn chosen(topology: &Topology, vcpus: usize) -> (Vec<usize>, Option<usize>, Option<usize>) {
        let placed = Placement::of(topology, vcpus, Servicer::Device).placed();
        (placed.vcpus, placed.device, placed.watchdog)
    }

    /// Whether two threads are of one core, whether two share a processor.
    fn marks(topology: &Topology, vcpus: usize) -> (bool, bool) {
        let placed = Placement::of(topology, vcpus, Servicer::Device).placed();
        assert_eq!(placed.remarks.is_empty(), !placed.siblings && !placed.shared, "{placed:?}");
        (placed.siblings, placed.shared)
    }

    #[test]
    fn siblings_are_avoided_however_they_are_numbered() {
        let amd = machine(8, adjacent, &["0-7"]);
        assert_eq!(chosen(&amd, 1), (vec![6], Some(4), Some(2)));
        let intel = machine(8, offset(4), &["0-7"]);
        assert_eq!(chosen(&intel, 1), (vec![3], Some(2), Some(1)));
        for topology in [amd, intel] {
            assert_eq!(marks(&topology, 1), (false, false));
        }
    }

    #[test]
    fn the_core_of_processor_0_comes_last() {
        assert_eq!(chosen(&machine(3, single, &["0-2"]), 1), (vec![2], Some(1), Some(0)));
        // Two cores of two threads: the watchdog is beside the device's thread or the guest's, and on neither.
        let two = machine(4, adjacent, &["0-3"]);
        let (vcpus, device, watchdog) = chosen(&two, 1);
        assert_eq!((vcpus.as_slice(), device), ([2].as_slice(), Some(0)));
        assert_eq!(watchdog, Some(3));
    }

    #[test]
    fn all_threads_are_on_the_node_with_the_most_cores() {
        let numa = machine(10, single, &["0-5", "6-9"]);
        assert_eq!(chosen(&numa, 1), (vec![5], Some(4), Some(3)));
        assert_eq!(Placement::of(&numa, 1, Servicer::Device).node(), Some(0));
        let even = machine(8, single, &["0-3", "4-7"]);
        assert_eq!(
            (chosen(&even, 1).0, Placement::of(&even, 1, Servicer::Device).node()),
            (vec![7], Some(1))
        );
        // A core a node: two nodes are worse than one core.
        let far = machine(4, adjacent, &["0-1", "2-3"]);
        assert_eq!(chosen(&far, 1), (vec![2], Some(3), Some(1)));
        assert_eq!(marks(&far, 1), (true, false));
        assert_eq!(
            Placement::of(&machine(2, single, &["0-1"]), 1, Servicer::Device).node(),
            None,
            "nothing to bind"
        );
    }

    #[test]
    fn several_virtual_processors_have_cores_then_siblings_then_each_other() {
        let amd = machine(8, adjacent, &["0-7"]);
        assert_eq!(chosen(&amd, 3).0, [6, 4, 2]);
        assert_eq!((chosen(&amd, 3).1, marks(&amd, 3)), (Some(0), (false, false)));
        assert_eq!(chosen(&amd, 4), (vec![6, 4, 2, 0], Some(7), Some(5)));
        assert_eq!(marks(&amd, 4), (true, false));
        let pair = machine(2, single, &["0-1"]);
        assert_eq!(chosen(&pair, 2), (vec![1, 0], Some(1), Some(1)));
        assert_eq!(marks(&pair, 2), (false, true));
    }

    #[test]
    fn the_watchdog_is_never_on_a_virtual_processor_where_there_is_another() {
        for topology in
            [machine(2, single, &["0-1"]), machine(2, adjacent, &["0-1"]), machine(64, offset(32), &["0-63"])]
        {
            for vcpus in 1..topology.places.len() {
                let (vcpus, _, watchdog) = chosen(&topology, vcpus);
                assert!(!vcpus.contains(&watchdog.unwrap()), "{vcpus:?} {watchdog:?}");
            }
        }
    }

    #[test]
    fn one_processor_is_left_to_the_scheduler_and_marked() {
        let one = machine(1, single, &["0"]);
        assert_eq!(chosen(&one, 1), (vec![], None, None));
        assert_eq!(marks(&one, 1), (false, true));
        assert_eq!(chosen(&Topology::default(), 1), (vec![], None, None), "nothing is known");
    }

    #[test]
    fn two_thousand_processors_are_placed_like_two() {
        let large = machine(2048, offset(1024), &["0-511,1024-1535", "512-1023,1536-2047"]);
        assert_eq!(chosen(&large, 1), (vec![1023], Some(1022), Some(1021)));
        let high = machine(2048, adjacent, &["0-2047"]);
        assert_eq!(chosen(&high, 1), (vec![2046], Some(2044), Some(2042)));
    }

    #[test]
    fn what_is_offline_or_not_allowed_is_not_chosen() {
        let root = sysfs("0-3,6", 8, adjacent, &["0-7"]);
        let allowed = [1, 2, 3, 5, 6].into_iter().map(Cpu).collect();
        let topology = Topology::read(root.path(), &allowed);
        // 5 is offline; 0 and 7 are not allowed.
        assert_eq!(chosen(&topology, 1), (vec![6], Some(2), Some(1)));
    }

    #[test]
    fn a_machine_that_does_not_tell_is_marked() {
        let nowhere = tempfile::tempdir().unwrap();
        let topology = Topology::read(nowhere.path(), &[0, 1].into_iter().map(Cpu).collect());
        let placed = Placement::of(&topology, 1, Servicer::Device).placed();
        assert_eq!((placed.vcpus.as_slice(), placed.device), ([1].as_slice(), Some(0)));
        assert!(placed.remarks[0].contains("does not say"), "{placed:?}");
    }

    #[test]
    fn this_machine_has_a_place_for_every_thread_or_a_remark() {
        let placed = Placement::choose(1, Servicer::Device).placed();
        assert!(
            placed.vcpus.len() == 1 && placed.device != Some(placed.vcpus[0]) || !placed.remarks.is_empty()
        );
    }
}
