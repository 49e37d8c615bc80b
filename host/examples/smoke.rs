use host::axes::*;
use host::trial::*;
use std::sync::{Arc, atomic::AtomicBool};
struct O(Vec<Sample>);
impl Observer for O {
    fn sample(&mut self, s: &Sample) {
        self.0.push(*s)
    }
}
fn main() {
    let t = std::time::Instant::now();
    let facts = host::probe();
    println!("{facts:#?} {:?}", t.elapsed());
    let facts = facts.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let base = TrialSpec {
        carrier: Carrier::Empty,
        doorbell: Doorbell::Port,
        servicer: Servicer::Vcpu,
        completion: Completion::Return,
        discard: Discard::None,
        coalesce: Coalesce::Each,
        backing: Backing::Anon,
        guest_ring: RingChoice::Auto,
        workload: Workload::Random,
        order: abi::addr::Order::new(std::env::args().nth(1).map_or(0, |x| x.parse().unwrap())).unwrap(),
        batch: 32,
        arena: None,
        warmup: 20,
        reports: 200,
        seed: 1,
    };
    let ring = TrialSpec { carrier: Carrier::Ring, ..base };
    let gr = match std::env::args().nth(2).as_deref() {
        Some("0") => RingChoice::Zero,
        Some("3") => RingChoice::Three,
        _ => RingChoice::Auto,
    };
    for (n, s) in [
        ("floor", base),
        (
            "floor-ioevent",
            TrialSpec { doorbell: Doorbell::IoeventfdPort, servicer: Servicer::Device, ..base },
        ),
        ("each", TrialSpec { carrier: Carrier::Registers, ..base }),
        ("batch", TrialSpec { carrier: Carrier::Batch, ..base }),
        ("each-mmio", TrialSpec { doorbell: Doorbell::Mmio, carrier: Carrier::Registers, ..base }),
        ("ring-hc", ring),
        ("ring-sync", TrialSpec { doorbell: Doorbell::Mmio, ..ring }),
        (
            "ring-async",
            TrialSpec {
                doorbell: Doorbell::IoeventfdMmio,
                servicer: Servicer::Device,
                completion: Completion::Poll,
                ..ring
            },
        ),
        (
            "virtio",
            TrialSpec {
                doorbell: Doorbell::IoeventfdMmio,
                servicer: Servicer::Device,
                completion: Completion::Interrupt,
                ..ring
            },
        ),
    ] {
        for d in [Discard::None, Discard::DontNeed] {
            let mut o = O(vec![]);
            let s = TrialSpec { discard: d, guest_ring: gr, ..s };
            match host::run(&s, &facts, &stop, &mut o) {
                Err(e) => println!("{n} {d:?} ERR {e}"),
                Ok(r) => {
                    let mut v = o.0.clone();
                    v.sort_by_key(|s| s.total);
                    let m = v[v.len() / 2];
                    println!(
                        "{n} {d:?} boot {}ms all {}ms median total {} us rem {:.1}% prep {} transit {} wake {} fetch {} disc {} comp {} resume {} notify {} wait {} touch {} re {}",
                        r.boot_ns / 1000000,
                        r.elapsed_ns / 1000000,
                        m.total / 2000,
                        m.remainder() as f64 * 100. / m.total as f64,
                        m.prepare,
                        m.transit,
                        m.wake,
                        m.fetch,
                        m.discard,
                        m.complete,
                        m.resume,
                        m.notify,
                        m.wait,
                        m.touch,
                        m.retouch
                    );
                    println!(
                        "   {:?} proof {:?} viol {:?} dis {} refused {} dig {} irq {} mem {}K madv {} ring {:?} bell {:?}",
                        r.exits,
                        r.proof,
                        r.violations,
                        r.disordered,
                        r.refused.total(),
                        r.reported_digest == r.taken_digest,
                        r.interrupts,
                        r.memory_beside_ram >> 10,
                        r.madvise_calls,
                        r.guest_ring,
                        r.bell
                    );
                    if d == Discard::None {
                        println!(
                            "   {:?}",
                            r.kvm_stats
                                .iter()
                                .filter(|x| x.1 > 0 && !x.0.contains("hist"))
                                .collect::<Vec<_>>()
                        );
                    }
                }
            }
        }
    }
}
