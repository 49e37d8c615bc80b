//! What a host makes of a guest's calls, and so which rungs of the ladder it can run.

use std::sync::LazyLock;

use abi::axes::GuestRing;
use host::axes::{Axis, Doorbell, VHOST_PAGEHINT};
use host::probe::{Answered, Facts};

use crate::axes::rung::{CallBy, Rung};

/// What a host makes of a guest's calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calls {
    /// With what the rungs from the floor on call it.
    pub by: CallBy,
    /// Whether its KVM answers a call itself, for the rung before the floor.
    pub in_kernel: InKernel,
    /// Whether its KVM can be told not to spin for a machine; `None` if nobody has asked.
    pub halt_poll: Option<bool>,
    /// Whether its KVM knows ioeventfds by their address alone; `None` if nobody has asked.
    pub addresses: Option<bool>,
    /// Whether a vhost worker can serve a ring on it; `None` if nobody has asked.
    pub vhost: Option<bool>,
    /// Calls of other hypervisors, or of modules, that do not answer, and what happened when they were tried.
    pub silent: Vec<(Doorbell, String)>,
}

/// Whether a KVM answers a hypercall itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InKernel {
    /// It does.
    Answers,
    /// It does not.
    Not {
        /// What happened when it was tried.
        reason: String,
    },
    /// Nobody has tried.
    Untried,
}

impl Calls {
    /// Of this host.
    #[must_use]
    pub fn on(facts: &Facts) -> Self {
        let in_kernel = if facts.answers(Doorbell::HypercallKernel) {
            InKernel::Answers
        } else {
            InKernel::Not { reason: silence(facts).unwrap_or("it was not tried").to_owned() }
        };
        let [halt_poll, addresses, vhost] =
            [facts.sets_halt_poll(), facts.knows_addresses(), facts.has_vhost()].map(Some);
        let is_extra = |doorbell: &Doorbell| doorbell.is_foreign() || doorbell.needs_module();
        let foreign =
            Doorbell::ALL.iter().filter(|doorbell| is_extra(doorbell) && !facts.answers(**doorbell));
        let why = |doorbell| facts.silence(doorbell).unwrap_or("it was not tried").to_owned();
        let silent = foreign.map(|doorbell| (*doorbell, why(*doorbell))).collect();
        Self { by: CallBy::on(facts), in_kernel, halt_poll, addresses, vhost, silent }
    }

    /// Of a host that has not been asked: nothing that is named is refused, and nothing is counted on.
    #[must_use]
    pub const fn untried(by: CallBy) -> Self {
        Self {
            by,
            in_kernel: InKernel::Untried,
            halt_poll: None,
            addresses: None,
            vhost: None,
            silent: Vec::new(),
        }
    }

    /// Every rung of the ladder that this host is known to run, in order.
    pub fn rungs(&self) -> impl Iterator<Item = Rung> {
        let in_kernel = self.in_kernel == InKernel::Answers;
        let sleeps = self.halt_poll != Some(false);
        Rung::LADDER.iter().copied().filter(move |rung| match rung {
            Rung::InKernel => in_kernel,
            Rung::Virtio => sleeps,
            _ => true,
        })
    }

    /// Why this host is known not to run a rung, if it is.
    #[must_use]
    pub fn refusal(&self, rung: Rung) -> Option<&str> {
        match (rung, &self.in_kernel) {
            (Rung::InKernel, InKernel::Not { reason }) => Some(reason),
            (
                Rung::Virtio
                | Rung::PackedVirtio
                | Rung::InflateVirtio
                | Rung::VirtioAnyLength
                | Rung::VirtioIndirect
                | Rung::VirtioEventIdx
                | Rung::VirtioVhost,
                _,
            ) if self.halt_poll == Some(false) => Some(NO_HALT_POLL),
            (Rung::VirtioVhost, _) if self.vhost == Some(false) => Some(&NO_VHOST),
            (Rung::VirtioAnyLength, _) if self.addresses == Some(false) => Some(NO_ADDRESSES),
            _ => {
                let doorbell = rung.transport(self.by).doorbell;
                self.silent.iter().find(|(silent, _)| *silent == doorbell).map(|(_, why)| why.as_str())
            }
        }
    }
}

const NO_HALT_POLL: &str = "this KVM has no KVM_CAP_HALT_POLL, so that the vCPU cannot be made to sleep at once: use virtio-polled or packed-virtio-polled";

const NO_ADDRESSES: &str = "this KVM has no KVM_CAP_IOEVENTFD_ANY_LENGTH: use virtio";

/// The module's own name is how insmod and the lab have it.
static NO_VHOST: LazyLock<String> = LazyLock::new(|| host::kvm::not_loaded(VHOST_PAGEHINT));

/// Why the hypercall that KVM answers itself does not answer from ring 0, where it should.
fn silence(facts: &Facts) -> Option<&str> {
    facts.doorbells.iter().find_map(|fact| match &fact.answered {
        Answered::Not { reason }
            if fact.doorbell == Doorbell::HypercallKernel && fact.guest_ring == GuestRing::Zero =>
        {
            Some(reason.as_str())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fake host with another in-kernel hypercall.
    fn silent() -> Facts {
        let mut facts = crate::testing::timed::facts();
        for fact in &mut facts.doorbells {
            if fact.doorbell == Doorbell::HypercallKernel {
                fact.answered = Answered::Not { reason: "it shut down".into() };
            }
        }
        facts
    }

    #[test]
    fn a_host_that_answers_runs_every_rung() {
        let calls = Calls::on(&crate::testing::timed::facts());
        assert!(calls.rungs().eq(Rung::LADDER.iter().copied()));
        assert!(Rung::LADDER.iter().chain(Rung::BESIDE).all(|rung| calls.refusal(*rung).is_none()));
    }

    #[test]
    fn a_host_that_does_not_runs_the_floor_and_above_and_says_why() {
        let calls = Calls::on(&silent());
        assert!(calls.rungs().eq(Rung::LADDER[1..].iter().copied()));
        assert_eq!(calls.refusal(Rung::InKernel), Some("it shut down"));
        assert_eq!(calls.refusal(Rung::Floor), None);
    }

    #[test]
    fn a_host_without_xen_refuses_its_rungs_with_the_reason() {
        let mut facts = crate::testing::timed::facts();
        facts.doorbells.retain(|fact| fact.doorbell != Doorbell::XenHypercall);
        let calls = Calls::on(&facts);
        for rung in Rung::BESIDE.iter().copied() {
            let is_xen = matches!(rung, Rung::XenEach | Rung::XenBatch);
            assert_eq!(calls.refusal(rung).is_some(), is_xen, "{rung:?}");
        }
        assert_eq!(calls.refusal(Rung::XenBatch), Some("it was not tried"));
    }

    #[test]
    fn a_host_that_spins_as_it_likes_does_not_run_the_rung_that_sleeps() {
        let mut facts = crate::testing::timed::facts();
        facts.capabilities.clear();
        let calls = Calls::on(&facts);
        assert!(
            calls.rungs().all(|rung| rung != Rung::Virtio)
                && calls.rungs().any(|rung| rung == Rung::VirtioPolled)
        );
        assert!(calls.refusal(Rung::Virtio).unwrap().contains("virtio-polled"));
    }

    #[test]
    fn a_host_nobody_asked_is_not_counted_on_and_refuses_nothing() {
        let calls = Calls::untried(CallBy::Port);
        assert!(calls.rungs().eq(Rung::LADDER[1..].iter().copied()));
        assert_eq!(calls.refusal(Rung::InKernel), None);
    }
}
