//! Every way in which a page can be wrong, and its name.

use abi::addr::Order;

use super::*;
use crate::engine::testing::{self, BOOT, INFO, MAP, machine};
use crate::metal::fake::Fake;

/// A page and its witness.
struct Scene {
    metal: Fake,
    witness: Witness,
    page: PageRange,
}

impl Scene {
    fn new(afterwards: Afterwards, poison: Option<u64>) -> Self {
        let (metal, books) = machine();
        let boot = BootInfo { afterwards, ..BOOT };
        let info = EngineInfo { poisoned: poison.is_some(), poison: poison.unwrap_or_default(), ..INFO };
        Self { metal, witness: Witness::new(&boot, &info, MAP, books), page: MAP.block(5, Order::PAGE) }
    }

    fn touch_and_take(&mut self, marked: bool) {
        touch(&mut self.metal, self.page);
        self.witness.allocated(&mut self.metal, self.page, marked);
    }

    /// Taken, freed, reported; `discards`: the host does.
    fn report(&mut self, discards: bool) {
        self.touch_and_take(false);
        self.witness.freed(&mut self.metal, self.page);
        self.witness.in_flight(&mut self.metal, self.page);
        if discards {
            self.metal.zero(self.page.gpa(), self.page.bytes());
        }
        self.witness.reported(&mut self.metal, self.page);
    }

    fn found(&self) -> Vec<Violation> {
        testing::found(&self.metal, 0)
    }

    fn last_word(&self) -> Gpa {
        self.page.gpa().offset(LAST_WORD)
    }
}

#[test]
fn a_life_without_reports() {
    let mut scene = Scene::new(Afterwards::Zeroed, None);
    for _ in 0..3 {
        scene.touch_and_take(false);
        scene.witness.freed(&mut scene.metal, scene.page);
    }
    scene.witness.sweep(&mut scene.metal);
    assert_eq!(scene.found(), []);
}

#[test]
fn a_report_is_judged_by_what_the_host_does() {
    for (afterwards, discards, found) in [
        (Afterwards::Zeroed, true, vec![]),
        (Afterwards::Kept, false, vec![]),
        (Afterwards::Zeroed, false, vec![Violation::StillThere]),
        (Afterwards::Kept, true, vec![Violation::Scrambled]),
        (Afterwards::Either, true, vec![]),
        (Afterwards::Either, false, vec![]),
    ] {
        let mut scene = Scene::new(afterwards, None);
        scene.report(discards);
        scene.touch_and_take(true);
        assert_eq!(scene.found(), found, "{afterwards:?} {discards}");
    }
}

#[test]
fn poison_outlives_a_report() {
    const POISON: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    for (poison, afterwards, discards, found) in [
        (POISON, Afterwards::Kept, false, vec![]),
        (0, Afterwards::Zeroed, true, vec![]),
        (POISON, Afterwards::Zeroed, true, vec![Violation::Scrambled]),
    ] {
        let mut scene = Scene::new(afterwards, Some(poison));
        scene.report(discards);
        scene.touch_and_take(true);
        assert_eq!(scene.found(), found, "{poison:#x}");
    }
}

#[test]
fn all_of_a_free_page_is_poison() {
    let mut scene = Scene::new(Afterwards::Kept, Some(0x5555_5555_5555_5555));
    scene.touch_and_take(false);
    scene.witness.freed(&mut scene.metal, scene.page);
    for word in 0..WORDS {
        assert_eq!(scene.metal.load(scene.page.gpa().offset(word * 8)), 0x5555_5555_5555_5555);
    }
}

#[test]
fn a_page_that_was_never_written_to_is_empty_before_and_after_a_report() {
    for afterwards in [Afterwards::Kept, Afterwards::Zeroed] {
        let mut scene = Scene::new(afterwards, None);
        scene.witness.in_flight(&mut scene.metal, scene.page);
        scene.witness.reported(&mut scene.metal, scene.page);
        scene.touch_and_take(true);
        assert_eq!(scene.found(), []);
    }
}

#[test]
fn a_lost_free_page_is_found_when_it_is_allocated_and_by_the_sweep() {
    for sweep in [false, true] {
        let mut scene = Scene::new(Afterwards::Zeroed, None);
        scene.touch_and_take(false);
        scene.witness.freed(&mut scene.metal, scene.page);
        scene.metal.zero(scene.page.gpa(), scene.page.bytes());
        if sweep {
            scene.witness.sweep(&mut scene.metal);
        } else {
            scene.touch_and_take(false);
        }
        assert_eq!(scene.found(), [Violation::UnreportedLost]);
    }
}

#[test]
fn a_lost_used_page_is_found_when_it_is_freed() {
    let mut scene = Scene::new(Afterwards::Zeroed, None);
    scene.touch_and_take(false);
    scene.metal.zero(scene.page.gpa(), scene.page.bytes());
    scene.witness.freed(&mut scene.metal, scene.page);
    assert_eq!(scene.found(), [Violation::ReusedLost]);
}

#[test]
fn a_page_in_use_or_in_flight_is_nobody_elses() {
    let mut scene = Scene::new(Afterwards::Zeroed, None);
    scene.touch_and_take(false);
    scene.touch_and_take(false);
    assert_eq!(scene.found(), [Violation::HandedOutTwice]);

    let mut scene = Scene::new(Afterwards::Zeroed, None);
    scene.touch_and_take(false);
    scene.witness.freed(&mut scene.metal, scene.page);
    scene.witness.in_flight(&mut scene.metal, scene.page);
    scene.touch_and_take(false);
    assert_eq!(scene.found(), [Violation::HandedOutInFlight]);
    // Its report does not make it anything else than its owner's.
    scene.witness.reported(&mut scene.metal, scene.page);
    assert!(scene.witness.is_used(&scene.metal, scene.page));
}

#[test]
fn a_mark_on_what_was_written_to_is_stale() {
    let mut scene = Scene::new(Afterwards::Zeroed, None);
    scene.touch_and_take(false);
    scene.witness.freed(&mut scene.metal, scene.page);
    scene.touch_and_take(true);
    assert_eq!(scene.found(), [Violation::StaleMark]);
}

#[test]
fn what_is_left_used_or_in_flight_is_missing() {
    for in_flight in [false, true] {
        let mut scene = Scene::new(Afterwards::Zeroed, None);
        scene.touch_and_take(false);
        if in_flight {
            scene.witness.freed(&mut scene.metal, scene.page);
            scene.witness.in_flight(&mut scene.metal, scene.page);
        }
        scene.witness.sweep(&mut scene.metal);
        assert_eq!(scene.found(), [Violation::Accounts]);
    }
}

#[test]
fn a_refused_page_is_as_if_freed_anew_whatever_the_host_did() {
    for discards in [false, true] {
        let mut scene = Scene::new(Afterwards::Zeroed, None);
        scene.touch_and_take(false);
        scene.witness.freed(&mut scene.metal, scene.page);
        scene.witness.in_flight(&mut scene.metal, scene.page);
        if discards {
            scene.metal.zero(scene.page.gpa(), scene.page.bytes());
        }
        scene.witness.refused(&mut scene.metal, scene.page);
        scene.touch_and_take(false);
        assert_eq!(scene.found(), []);
    }
}

#[test]
fn a_word_that_is_no_truth_is_found() {
    let mut scene = Scene::new(Afterwards::Zeroed, None);
    let truth = scene.witness.page(scene.page.start()).truth;
    scene.metal.store32(truth, 77);
    scene.touch_and_take(false);
    assert_eq!(scene.found(), [Violation::Accounts]);
}

#[test]
fn a_touch_leaves_the_last_word_alone() {
    let mut scene = Scene::new(Afterwards::Zeroed, None);
    let Scene { metal, page, .. } = &mut scene;
    metal.fill(page.gpa(), WORDS, 7);
    touch(metal, *page);
    assert_eq!(metal.load(page.gpa().offset(LAST_WORD - 8)), 0);
    assert_eq!(scene.metal.load(scene.last_word()), 7);
}
