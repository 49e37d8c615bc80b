//! Every way that the rules allow is run for a few reports, and has to show that each of its values took part: exits by
//! kind, calls that discard, pages freed, huge pages, the guest's ring.
//!
//! They are too many for a minute, so that as few are taken as have every two values in one of them that go together
//! anywhere; with `PAGEHINT_COMBINATIONS=all` it is all of them (`make combinations`). What this host does not have is
//! listed as ignored, with the reason.

mod common;
#[path = "common/designed.rs"]
mod designed;
#[path = "common/discarded.rs"]
mod discarded;
#[path = "common/samples.rs"]
mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::ExitCode;

use abi::axes::Workload;
use host::axes::{
    Axis, Backing, Carrier, Completion, Discard, Doorbell, HaltPoll, RingChoice, Servicer, WAY_AXES, Way,
};
use host::fault::Planted;
use host::probe::{Answered, Facts};
use host::testing::pairwise::pairwise;
use host::testing::specs::{SEED, timed_over};
use host::timed::{Outcome, TimedSpec};
use host::trial::TrialError;
use libtest_mimic::Trial;

use common::{Checked, Transport};
use designed::{cannot_run_in, exits_are_as_designed, sound};
use discarded::{answered, called, freed};
use samples::{Samples, trial};

/// Set to `all` for every way instead of every two values.
const COMBINATIONS: &str = "PAGEHINT_COMBINATIONS";

fn main() -> ExitCode {
    common::run(|facts| {
        let allowed = Way::allowed();
        let mut tests = vec![knows(common::transports(facts), allowed.clone())];
        let host = Host::of(facts);
        let (mut ways, mut missing) = (Vec::new(), BTreeMap::<String, BTreeSet<String>>::new());
        for way in allowed {
            match host.lacks(&way) {
                None => ways.push(way),
                Some((what, why)) => _ = missing.entry(why).or_default().insert(what),
            }
        }
        if env::var_os(COMBINATIONS).is_none_or(|wanted| wanted != "all") {
            ways = pairwise(&ways, SEED);
        }
        let run = |way| Trial::test(name(&way), move || takes_part(&few(way), facts));
        tests.extend(ways.into_iter().map(run).chain(missing.into_iter().map(not_run)));
        tests
    })
}

/// Nothing is allowed elsewhere that is not tried here.
fn knows(transports: Vec<Transport>, allowed: Vec<Way>) -> Trial {
    Trial::test("the-transports-of-the-other-suites-are-among-these", move || {
        let known = |transport: &Transport| allowed.contains(&transport.way);
        assert_eq!(transports.iter().find(|transport| !known(transport)), None);
        Ok(())
    })
}

/// All its values.
fn name(way: &Way) -> String {
    WAY_AXES.iter().map(|axis| axis.name_in(way)).collect::<Vec<_>>().join("-")
}

/// What this host does not have for one reason.
fn not_run((why, what): (String, BTreeSet<String>)) -> Trial {
    let what: Vec<String> = what.into_iter().collect();
    let name = format!("without {}: {why}", what.join(", "));
    Trial::test(name, move || Err(why.into())).with_kind("not here").with_ignored_flag(true)
}

/// A few reports of neighbours, so that merging them leaves one range.
fn few(way: Way) -> TimedSpec {
    let workload = Workload::Sequential;
    // Those that gather need some for a round.
    let reports = if way.gathers().is_some() { 250 } else { 6 };
    TimedSpec { workload, batch: 8, warmup: 2, reports, ..timed_over(way) }
}

/// What this host has.
struct Host {
    facts: &'static Facts,
    /// Discards of memories that cannot be had here, and why.
    memory: Vec<(Discard, Backing, String)>,
}

impl Host {
    fn of(facts: &'static Facts) -> Self {
        let mut memory = Vec::new();
        for discard in Discard::ALL.iter().copied() {
            for backing in Backing::ALL.iter().copied() {
                let plain = Way::plain(Carrier::Batch, Doorbell::Mmio, Completion::Return);
                let spec = few(Way { discard, backing, ..plain });
                if spec.validate().is_err() || Self::is_unknown(facts) {
                    continue;
                }
                if let Err(TrialError::Backing(error)) =
                    trial(&spec, facts, Planted::NONE, &mut Samples::of(&spec))
                {
                    memory.push((discard, backing, error.to_string()));
                }
            }
        }
        Self { facts, memory }
    }

    /// Without KVM: then everything is listed, and nothing run.
    fn is_unknown(facts: &Facts) -> bool {
        facts.doorbells.is_empty()
    }

    /// What of a way this host does not have, and why.
    fn lacks(&self, way: &Way) -> Option<(String, String)> {
        if Self::is_unknown(self.facts) {
            return None;
        }
        let ring = self.facts.guest_ring(way);
        let doorbell =
            self.facts.doorbells.iter().find(|fact| (fact.doorbell, fact.guest_ring) == (way.doorbell, ring));
        if let Some(Answered::Not { reason }) = doorbell.map(|fact| &fact.answered) {
            let what = format!("doorbell {} from ring {}", way.doorbell.name(), ring.name());
            return Some((what, reason.clone()));
        }
        if let Some(why) = cannot_run_in(way.guest_ring, way.doorbell, self.facts) {
            return Some((format!("guest-ring {}", way.guest_ring.name()), why.to_owned()));
        }
        if way.halt_poll == HaltPoll::Never && !self.facts.sets_halt_poll() {
            return Some(("halt-poll 0".to_owned(), "KVM has no KVM_CAP_HALT_POLL".to_owned()));
        }
        if way.servicer == Servicer::Vhost && !self.facts.has_vhost() {
            return Some(("servicer vhost".to_owned(), "the module vhost_pagehint is not loaded".to_owned()));
        }
        let memory = self
            .memory
            .iter()
            .find(|(discard, backing, _)| (*discard, *backing) == (way.discard, way.backing));
        memory.map(|(discard, backing, why)| {
            (format!("discard {} of backing {}", discard.name(), backing.name()), why.clone())
        })
    }
}

fn takes_part(spec: &TimedSpec, facts: &Facts) -> Checked {
    let (outcome, _) = sound(spec, facts)?;
    exits_are_as_designed(spec, &outcome, facts);
    freed(spec, &outcome);
    called(spec, &outcome);
    answered(spec, &outcome);
    rest(spec, &outcome, facts);
    Ok(())
}

/// What neither exits nor calls show.
fn rest(spec: &TimedSpec, outcome: &Outcome, facts: &Facts) {
    let Way { doorbell, carrier, servicer, backing, guest_ring, .. } = spec.way;
    let Outcome { common, calls, .. } = outcome;
    assert_eq!(common.bell, doorbell.bell(carrier, facts.hypercall), "instruction");
    assert_eq!(common.guest_ring, guest_ring.resolve(doorbell, facts.ring0_emulated), "guest's ring");
    assert!(guest_ring == RingChoice::Auto || common.guest_ring.name() == guest_ring.name());
    // Whom a call exits to is not the device, and whom it does not exit to is not the vCPU's thread.
    let exits = if servicer == Servicer::Vcpu { *calls + outcome.overflows } else { 0 };
    // What takes pages back is no call of a report.
    let taking = if carrier == Carrier::Inflate { exits } else { 0 };
    assert_eq!(common.exits.transport(), exits + taking, "calls that exit");
    let huge = common.huge_share;
    assert!(backing == Backing::Hugetlb || (huge > 0.9) == backing.is_thp(), "{huge} of memory is huge");
}
