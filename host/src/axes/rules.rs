//! Which choices go together, and why the others do not: one table for all kinds of trials.

use std::fmt;

use abi::axes::{Axis, Carrier, Completion, RingFeatures};

use super::backing::Backing;
use super::discard::{Coalesce, Discard};
use super::doorbell::{Doorbell, Servicer};
use super::guest_ring::RingChoice;
use super::halt_poll::HaltPoll;
use super::set::{Set, listed};
use super::way::Way;

/// A way with a value of each of the sets `given` must have one of `then`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Whom it is for: ways that are in all of these.
    pub given: &'static [Set],
    /// Where they have to be.
    pub then: Set,
    /// Why, in words that end a sentence.
    pub why: &'static str,
}

/// Options but for the order.
const OUT_OF_ORDER: &[RingFeatures] = RingFeatures::ALL.split_at(4).0;

/// Options but for the event indices.
const WITHOUT_EVENTS: &[RingFeatures] = &[
    RingFeatures::NONE,
    RingFeatures { indirect: true, ..RingFeatures::NONE },
    RingFeatures { in_order: true, ..RingFeatures::NONE },
    RingFeatures { indirect: true, in_order: true, ..RingFeatures::NONE },
];

/// What KVM turns into the signal of an eventfd.
const IOEVENTFDS: &[Doorbell] =
    &[Doorbell::IoeventfdPort, Doorbell::IoeventfdMmio, Doorbell::IoeventfdMmioAny];

/// What the modules zap.
const ZAPPED: &[Backing] =
    &[Backing::Anon, Backing::AnonThp, Backing::Memfd, Backing::MemfdThp, Backing::File];

/// Every rule there is. Of several that are broken the first is told.
pub const RULES: &[Rule] = &[
    Rule {
        given: &[Set::Doorbell(&[Doorbell::Hypercall, Doorbell::Port, Doorbell::Mmio])],
        then: Set::Servicer(&[Servicer::Vcpu]),
        why: "such a doorbell exits to the vCPU's thread",
    },
    Rule {
        given: &[Set::Doorbell(IOEVENTFDS)],
        then: Set::Servicer(&[Servicer::Device, Servicer::Vhost]),
        why: "KVM signals an eventfd, and a thread waits for it",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::HypercallKernel, Doorbell::HypercallModule])],
        then: Set::Servicer(&[Servicer::Kernel]),
        why: "KVM answers such a call itself",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::HypercallModule])],
        then: Set::Carrier(&[Carrier::Empty, Carrier::Registers, Carrier::Batch]),
        why: "the module reads registers and a batch page, and nothing else",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::HypercallModule])],
        then: Set::Discard(&[Discard::DontNeed]),
        why: "the module zaps what is named, as that does, and nothing tells it not to",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::HypercallModule])],
        then: Set::Coalesce(&[Coalesce::Each]),
        why: "the module takes ranges as they come",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::HypercallModule])],
        then: Set::Backing(ZAPPED),
        why: "the module refuses memory that is registered with userfaultfd, whose thread it could not tell",
    },
    Rule {
        given: &[Set::Servicer(&[Servicer::Vhost])],
        then: Set::Carrier(&[Carrier::Ring]),
        why: "vhost knows no ring but the split one",
    },
    Rule {
        given: &[Set::Servicer(&[Servicer::Vhost])],
        then: Set::RingFeatures(&[RingFeatures::NONE]),
        why: "vhost does not say whether they took part",
    },
    Rule {
        given: &[Set::Servicer(&[Servicer::Vhost])],
        then: Set::Discard(&[Discard::DontNeed]),
        why: "the module zaps what is named, as that does, and nothing tells it not to",
    },
    Rule {
        given: &[Set::Servicer(&[Servicer::Vhost])],
        then: Set::Coalesce(&[Coalesce::Each]),
        why: "the module takes ranges as they come",
    },
    Rule {
        given: &[Set::Servicer(&[Servicer::Vhost])],
        then: Set::Backing(ZAPPED),
        why: "the module refuses memory that is registered with userfaultfd, whose thread it could not tell",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::XenHypercall, Doorbell::HypervHypercall])],
        then: Set::Servicer(&[Servicer::Vcpu]),
        why: "a call of another hypervisor's exits to the vCPU's thread",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::HypervHypercall])],
        then: Set::GuestRing(&[RingChoice::Zero, RingChoice::Auto]),
        why: "KVM refuses Hyper-V's calls from ring 3",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::HypervHypercall])],
        then: Set::Carrier(&[Carrier::HeatHint, Carrier::Empty]),
        why: "of Hyper-V's calls KVM leaves the extended ones to user space, of which one names memory",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::Hypercall, Doorbell::HypercallKernel, Doorbell::HypercallModule])],
        then: Set::GuestRing(&[RingChoice::Zero, RingChoice::Auto]),
        why: "KVM refuses hypercalls from ring 3",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::HypercallKernel])],
        then: Set::Carrier(&[Carrier::Empty]),
        why: "KVM answers such a call itself and looks at no ranges",
    },
    Rule {
        given: &[Set::Carrier(&[Carrier::HeatHint])],
        then: Set::Doorbell(&[Doorbell::HypervHypercall]),
        why: "it is the input of one of Hyper-V's calls",
    },
    Rule {
        given: &[Set::Doorbell(IOEVENTFDS)],
        then: Set::Carrier(&[Carrier::Ring, Carrier::PackedRing, Carrier::Inflate, Carrier::Empty]),
        why: "an eventfd carries neither registers nor an answer",
    },
    Rule {
        given: &[Set::Carrier(&[
            Carrier::Empty,
            Carrier::Registers,
            Carrier::Batch,
            Carrier::Request,
            Carrier::Status,
            Carrier::HeatHint,
        ])],
        then: Set::Completion(&[Completion::Return]),
        why: "only what is in a queue is acknowledged later",
    },
    Rule {
        given: &[Set::Carrier(&[
            Carrier::Empty,
            Carrier::Registers,
            Carrier::Batch,
            Carrier::Log,
            Carrier::Store,
            Carrier::Request,
            Carrier::Status,
            Carrier::Inflate,
            Carrier::CallAndRing,
            Carrier::HeatHint,
        ])],
        then: Set::RingFeatures(&[RingFeatures::NONE]),
        why: "they are options of the reporting queue, where nothing else carries ranges",
    },
    Rule {
        given: &[Set::Carrier(&[Carrier::PackedRing])],
        then: Set::RingFeatures(OUT_OF_ORDER),
        why: "a packed ring with one list in flight is in order as it is, so that nothing would change",
    },
    Rule {
        given: &[Set::Servicer(&[Servicer::Polling])],
        then: Set::RingFeatures(WITHOUT_EVENTS),
        why: "a device that looks by itself asks for no kick, at whichever entry",
    },
    Rule {
        given: &[
            Set::Carrier(&[Carrier::Ring, Carrier::PackedRing, Carrier::Inflate]),
            Set::Servicer(&[Servicer::Device, Servicer::Vhost]),
        ],
        then: Set::Completion(&[Completion::Poll, Completion::Interrupt]),
        why: "the device thread acts after the doorbell has returned",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::CoalescedPort, Doorbell::CoalescedMmio])],
        then: Set::Servicer(&[Servicer::Vcpu]),
        why: "what KVM has queued is looked at in the next exit of the vCPU's thread",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::CoalescedPort, Doorbell::CoalescedMmio])],
        then: Set::Carrier(&[Carrier::Store]),
        why: "KVM queues what is written, and nothing beside it",
    },
    Rule {
        given: &[Set::Carrier(&[Carrier::Store])],
        then: Set::Doorbell(&[
            Doorbell::Port,
            Doorbell::Mmio,
            Doorbell::CoalescedPort,
            Doorbell::CoalescedMmio,
        ]),
        why: "the range is what is written",
    },
    Rule {
        given: &[Set::Carrier(&[Carrier::Store])],
        then: Set::Completion(&[Completion::Return]),
        why: "the host acts on a write, or on the call about those that are queued, before the guest goes on",
    },
    Rule {
        given: &[Set::Carrier(&[Carrier::Log])],
        then: Set::Completion(&[Completion::Return]),
        why: "the host acts on a log while the guest is in the call",
    },
    Rule {
        given: &[Set::Completion(&[Completion::Return, Completion::Poll])],
        then: Set::HaltPoll(&[HaltPoll::Host]),
        why: "a guest that never halts is never polled for",
    },
    Rule {
        given: &[Set::Doorbell(&[Doorbell::None])],
        then: Set::Servicer(&[Servicer::Polling]),
        why: "where nothing rings a thread has to look by itself",
    },
    Rule {
        given: &[Set::Servicer(&[Servicer::Polling])],
        then: Set::Carrier(&[Carrier::Ring, Carrier::PackedRing]),
        why: "only into a ring can somebody look who was not called",
    },
    Rule {
        given: &[Set::Carrier(&[Carrier::Ring, Carrier::PackedRing]), Set::Servicer(&[Servicer::Polling])],
        then: Set::Completion(&[Completion::Poll, Completion::Interrupt]),
        why: "the polling thread acts when it comes by",
    },
    Rule {
        given: &[Set::Discard(&[Discard::Remove, Discard::PunchHole])],
        then: Set::Backing(&[Backing::Memfd, Backing::MemfdThp, Backing::Hugetlb]),
        why: "it makes a hole in the file that is mapped, and what is written to a private mapping is in no file",
    },
    Rule {
        given: &[Set::Discard(&[Discard::Free])],
        then: Set::Backing(&[Backing::Anon, Backing::AnonThp]),
        why: "the kernel frees lazily what is private, mapped from no file and not locked, and refuses the rest",
    },
    Rule {
        given: &[Set::Discard(&[Discard::PageOut])],
        then: Set::Backing(&[Backing::Anon, Backing::AnonThp, Backing::File]),
        why: "the kernel pages out nothing that is locked or of hugetlb, and does not show what of a shared file it has",
    },
    Rule {
        given: &[Set::Discard(&[Discard::Remap])],
        then: Set::Backing(&[Backing::Anon, Backing::AnonThp, Backing::File, Backing::Locked]),
        why: "a mapping over a shared file would be no part of the file any more, and one over registered memory not registered",
    },
    Rule {
        given: &[Set::Discard(&[Discard::DontNeed, Discard::Vectored])],
        then: Set::Backing(&[
            Backing::Anon,
            Backing::AnonThp,
            Backing::Memfd,
            Backing::MemfdThp,
            Backing::File,
            Backing::Userfault,
        ]),
        why: "the kernel refuses it of locked pages, and of less than whole pages of hugetlb",
    },
    Rule {
        given: &[Set::Discard(&[Discard::Deferred])],
        then: Set::Backing(&[Backing::Anon, Backing::AnonThp, Backing::File, Backing::Userfault]),
        why: "it is madvise(MADV_DONTNEED) in the end, which frees nothing of a shared file and is refused of locked pages",
    },
    Rule {
        given: &[Set::Discard(&[Discard::Deferred])],
        then: Set::Coalesce(&[Coalesce::Merged]),
        why: "what is put off is a set of pages, in no order and without seams",
    },
    Rule {
        given: &[Set::Coalesce(&[Coalesce::Across])],
        then: Set::Carrier(&[Carrier::Ring, Carrier::PackedRing]),
        why: "ranges of several reports are there at once only where several can be in flight, which is in a ring",
    },
    Rule {
        given: &[Set::Coalesce(&[Coalesce::Across])],
        then: Set::Servicer(&[Servicer::Device, Servicer::Polling]),
        why: "the vCPU's thread acts before the doorbell returns, so that there is no other report yet",
    },
];

impl Rule {
    /// Whether a way keeps it.
    #[must_use]
    pub fn allows(&self, way: &Way) -> bool {
        !self.given.iter().all(|set| set.holds(way)) || self.then.holds(way)
    }

    /// What of a way it is about.
    fn values(&self, way: &Way) -> String {
        let sets = self.given.iter().chain([&self.then]);
        let values: Vec<_> = sets.map(|set| format!("{} {}", set.axis(), set.name_in(way))).collect();
        listed(&values, "and")
    }
}

/// A sentence, without its full stop.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given: Vec<_> = self.given.iter().map(ToString::to_string).collect();
        write!(f, "{} needs {}: {}", given.join(" with "), self.then, self.why)
    }
}

/// A way that breaks a rule. The message says what to use instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{values} do not go together: {why}; use --{axis} {instead}",
    values = .rule.values(.way),
    why = .rule.why,
    axis = .rule.then.axis(),
    instead = listed(&.rule.then.names(), "or"),
)]
pub struct WayError {
    /// The way.
    pub way: Way,
    /// The rule.
    pub rule: &'static Rule,
}

impl Way {
    /// Whether the choices go together.
    ///
    /// # Errors
    /// [`WayError`], with the first rule that they break.
    pub fn validate(&self) -> Result<(), WayError> {
        match RULES.iter().find(|rule| !rule.allows(self)) {
            Some(rule) => Err(WayError { way: *self, rule }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use abi::axes::Axis;

    use super::*;

    /// A call that KVM answers itself.
    const IN_KERNEL: Way = Way::plain(Carrier::Empty, Doorbell::HypercallKernel, Completion::Return);

    fn refusal(way: &Way) -> String {
        way.validate().unwrap_err().to_string()
    }

    /// What the table says, in other words.
    fn goes_together(way: &Way) -> bool {
        let Way { carrier, doorbell, servicer, completion, halt_poll, guest_ring, .. } = *way;
        if !discards(way.discard, way.backing) {
            return false;
        }
        if way.ring_features != RingFeatures::NONE
            && !(carrier == Carrier::Ring || carrier == Carrier::PackedRing && !way.ring_features.in_order)
        {
            return false;
        }
        if servicer == Servicer::Polling && way.ring_features.event_idx {
            return false;
        }
        if way.discard == Discard::Deferred && way.coalesce != Coalesce::Merged {
            return false;
        }
        if way.coalesce == Coalesce::Across
            && !(matches!(carrier, Carrier::Ring | Carrier::PackedRing)
                && matches!(servicer, Servicer::Device | Servicer::Polling))
        {
            return false;
        }
        let serves =
            servicer == doorbell.servicer() || servicer == Servicer::Vhost && doorbell.is_ioeventfd();
        if !serves || doorbell.is_hypercall() && guest_ring == RingChoice::Three {
            return false;
        }
        if halt_poll == HaltPoll::Never && completion != Completion::Interrupt {
            return false;
        }
        if doorbell.is_coalesced() && carrier != Carrier::Store {
            return false;
        }
        if doorbell == Doorbell::HypervHypercall && !matches!(carrier, Carrier::Empty | Carrier::HeatHint) {
            return false;
        }
        if doorbell == Doorbell::HypercallModule {
            let plain = way.discard == Discard::DontNeed && way.coalesce == Coalesce::Each;
            let named = matches!(carrier, Carrier::Empty | Carrier::Registers | Carrier::Batch);
            return plain && named && way.backing != Backing::Userfault && completion == Completion::Return;
        }
        if servicer == Servicer::Vhost {
            let plain = way.discard == Discard::DontNeed && way.coalesce == Coalesce::Each;
            let known = carrier == Carrier::Ring && way.ring_features == RingFeatures::NONE;
            return plain && known && way.backing != Backing::Userfault && completion != Completion::Return;
        }
        match carrier {
            Carrier::HeatHint => doorbell == Doorbell::HypervHypercall && completion == Completion::Return,
            Carrier::Empty => completion == Completion::Return && servicer != Servicer::Polling,
            Carrier::Registers | Carrier::Batch | Carrier::Log | Carrier::Request | Carrier::Status => {
                servicer == Servicer::Vcpu && completion == Completion::Return
            }
            Carrier::Store => {
                let doorbells = [Doorbell::Port, Doorbell::Mmio];
                (doorbells.contains(&doorbell) || doorbell.is_coalesced()) && completion == Completion::Return
            }
            Carrier::CallAndRing => servicer == Servicer::Vcpu && !doorbell.is_coalesced(),
            Carrier::Inflate if servicer == Servicer::Polling => false,
            Carrier::Ring | Carrier::PackedRing | Carrier::Inflate => match servicer {
                Servicer::Vcpu => true,
                Servicer::Device | Servicer::Polling => completion != Completion::Return,
                Servicer::Kernel | Servicer::Vhost => false,
            },
        }
    }

    /// The same of what is done with memory, by what it is made of.
    fn discards(discard: Discard, backing: Backing) -> bool {
        use Discard::{Deferred, DontNeed, Free, PageOut, PunchHole, Remap, Remove, Vectored};
        let with: &[Discard] = match backing {
            Backing::Anon | Backing::AnonThp => &[DontNeed, Free, PageOut, Remap, Vectored, Deferred],
            Backing::Memfd | Backing::MemfdThp => &[DontNeed, Remove, PunchHole, Vectored],
            Backing::Hugetlb => &[Remove, PunchHole],
            Backing::File => &[DontNeed, PageOut, Remap, Vectored, Deferred],
            Backing::Userfault => &[DontNeed, Vectored, Deferred],
            Backing::Locked => &[Remap],
        };
        discard == Discard::None || with.contains(&discard)
    }

    #[test]
    fn every_combination_is_judged_as_in_other_words() {
        assert_eq!(Way::all().count(), 12 * 8 * 13 * 5 * 3 * 2 * 3 * 9 * 4 * 8);
        for way in Way::all() {
            assert_eq!(way.validate().is_ok(), goes_together(&way), "{way:?}");
        }
    }

    #[test]
    fn so_many_go_together() {
        let over = |carrier| Way::allowed().into_iter().filter(|way| way.carrier == carrier).count();
        // Rings with every option but for those of events where a device polls, packed ones but for the order too.
        let [split, packed] = [71 * 8 + 9 * 4, 71 * 4 + 9 * 2];
        let transports = [24, 11, 11, split, packed, 11, 12, 11, 11, 71, 44, 2];
        // Each with each of 35 pairs of discard and backing in three orders of ranges, and with four in one.
        let memory = 35 * 3 + 4;
        // Across reports it is done for what a thread serves of a ring, and by any of them but where it is put off.
        let across =
            [0, 0, 0, 27 * 8 + 9 * 4, 27 * 4 + 9 * 2, 0, 0, 0, 0, 0, 0, 0].map(|transports| transports * 35);
        let ways = Carrier::ALL.iter().map(|carrier| over(*carrier)).collect::<Vec<_>>();
        // By a module from five kinds of memory that it zaps as it comes: in KVM from ring 0, chosen or not; by vhost from
        // three, for three doorbells, three ways to wait.
        let module = [10, 10, 10, 5 * 27, 0, 0, 0, 0, 0, 0, 0, 0];
        let expected = transports.iter().zip(across).zip(module);
        let expected = expected.map(|((transports, across), module)| transports * memory + across + module);
        assert_eq!(ways, expected.collect::<Vec<_>>());
    }

    #[test]
    fn no_rule_says_what_the_others_say() {
        for rule in RULES {
            let others = || RULES.iter().filter(|other| *other != rule);
            let alone = |way: &Way| !rule.allows(way) && others().all(|other| other.allows(way));
            assert!(Way::all().any(|way| alone(&way)), "{rule}");
        }
    }

    #[test]
    fn a_rule_can_be_kept_by_doing_as_it_says() {
        for rule in RULES {
            let kept = |way: &Way| rule.given.iter().all(|set| set.holds(way)) && rule.then.holds(way);
            assert!(Way::allowed().iter().any(kept), "{rule}");
        }
    }

    #[test]
    fn a_call_that_kvm_answers_goes_with_one_transport_from_ring_0() {
        for guest_ring in [RingChoice::Auto, RingChoice::Zero] {
            Way { guest_ring, ..IN_KERNEL }.validate().unwrap();
        }
        for servicer in [Servicer::Vcpu, Servicer::Device] {
            assert!(refusal(&Way { servicer, ..IN_KERNEL }).contains("--servicer kernel"));
        }
        for carrier in Carrier::ALL.iter().copied().filter(|carrier| *carrier != Carrier::Empty) {
            assert!(refusal(&Way { carrier, ..IN_KERNEL }).contains("--carrier empty"));
        }
        for completion in [Completion::Poll, Completion::Interrupt] {
            assert!(refusal(&Way { completion, ..IN_KERNEL }).contains("--completion return"));
        }
        assert!(refusal(&Way { guest_ring: RingChoice::Three, ..IN_KERNEL }).contains("--guest-ring 0"));
    }

    #[test]
    fn kvm_serves_no_other_doorbell() {
        let others = |bell: &Doorbell| bell.servicer() != Servicer::Kernel;
        for doorbell in Doorbell::ALL.iter().copied().filter(others) {
            let way = Way { doorbell, ..IN_KERNEL };
            let needed = format!("--servicer {}", doorbell.servicer().name());
            assert!(refusal(&way).contains(&needed), "{}", refusal(&way));
        }
    }

    #[test]
    fn a_broken_rule_is_told_with_the_values_and_the_way_out() {
        let way = Way { completion: Completion::Return, ..ring_of_the_device() };
        assert_eq!(
            refusal(&way),
            "carrier ring, servicer device and completion return do not go together: the device thread acts after the \
             doorbell has returned; use --completion poll or interrupt"
        );
        assert_eq!(
            way.validate().unwrap_err().rule.to_string(),
            "carrier ring, packed or inflate with servicer device or vhost needs completion poll or interrupt: the device thread acts after the \
             doorbell has returned"
        );
        assert_eq!(ring_of_the_device().validate(), Ok(()));
    }

    fn ring_of_the_device() -> Way {
        Way::plain(Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Poll)
    }
}
