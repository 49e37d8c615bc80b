//! Lists of frames in the inflate and deflate queues: their encoder, and those that are none.

use std::time::{Duration, Instant};

use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
use abi::axes::Carrier;
use abi::calls::{IDLE_GPA, IDLE_PAGES, Operation};
use abi::layout::TRACE_CALLS;
use abi::step::Step;
use abi::wire::frames::{LIST_MOST, Place};
use abi::wire::split_ring::{
    AVAIL_ENTRY_SIZE, DESC_INDIRECT, DESC_NEXT, DESC_WRITE, ENTRIES, IDX, USED_ENTRY_SIZE,
};
use host::axes::Coalesce;
use host::memory::GuestRam;
use host::probe::Facts;
use host::reclaim::Refused;
use libtest_mimic::{Failed, Trial};
use vm_memory::{Bytes, GuestAddress};

use crate::blocks;
use crate::common::{Checked, Transport};
use crate::encoder::{Encoder, equal};
use crate::guest::{Guest, NONE};
use crate::memory::{Pages, RAM_END, page};

/// How long a device thread may take over a list that leaves no stamp.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a list cannot name a range, if it cannot: a good one may be several frames, a bad one is one.
pub(crate) fn cannot_name(range: ByteRange) -> Option<&'static str> {
    match blocks::cannot_name(range) {
        Some(_) if range.len == LIST_MOST * PAGE_SIZE => None,
        None if u32::try_from(range.gpa.pfn().0).is_err() => Some("a frame has 32 bits"),
        reason => reason,
    }
}

/// The driver of one of the queues.
struct Queue {
    at: Place,
    available: u16,
}

impl Queue {
    const fn of(at: Place) -> Self {
        Self { at, available: 0 }
    }

    /// Writes a descriptor.
    fn describe(&self, ram: &GuestRam, index: u64, buffer: Buffer) -> Checked {
        let Buffer { at, len, flags, next } = buffer;
        let rest = u64::from(len) | u64::from(flags) << 32 | u64::from(next) << 48;
        Ok(ram.write_words(self.at.ring.desc.offset(index * 16), &[at.0, rest])?)
    }

    /// Makes the chain available that begins with the first descriptor; the kick.
    fn offer(&mut self, ram: &GuestRam) -> Result<Step, Failed> {
        let slot = u64::from(self.available % self.at.ring.size);
        let store = |at: Gpa, value: u16| ram.memory().write_obj(value.to_le(), GuestAddress(at.0));
        store(self.at.ring.avail.offset(ENTRIES + slot * AVAIL_ENTRY_SIZE), 0)?;
        self.available = self.available.wrapping_add(1);
        store(self.at.ring.avail.offset(IDX), self.available)?;
        let queue = Operation::Queue { queue: self.at.number };
        Ok(Step::Call { word: queue.word(), gpa: IDLE_GPA, pages: IDLE_PAGES })
    }

    fn used_index(&self, ram: &GuestRam) -> Result<u16, Failed> {
        let mut bytes = [0; 2];
        ram.read_bytes(self.at.ring.used.offset(IDX), &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    /// Checks that everything made available is acknowledged, with nothing written.
    fn used(&self, ram: &GuestRam) -> Checked {
        equal("the used index", self.used_index(ram)?, self.available)?;
        let slot = u64::from(self.available.wrapping_sub(1) % self.at.ring.size);
        let entry = ram.read(self.at.ring.used.offset(ENTRIES + slot * USED_ENTRY_SIZE))?;
        equal("the used entry (length above, head below)", entry, 0)
    }
}

/// Frames as a list.
fn write_list(ram: &GuestRam, at: Gpa, frames: impl IntoIterator<Item = u64>) -> Result<u32, Failed> {
    let mut bytes = Vec::new();
    for frame in frames {
        bytes.extend(u32::try_from(frame)?.to_le_bytes());
    }
    ram.memory().write_slice(&bytes, GuestAddress(at.0))?;
    Ok(u32::try_from(bytes.len())?)
}

/// A frame a page.
pub(crate) struct Lists(Queue);

impl Default for Lists {
    fn default() -> Self {
        Self(Queue::of(Place::INFLATE))
    }
}

impl Encoder for Lists {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let frames = |range: &ByteRange| {
            let first = range.gpa.pfn().0;
            first..first + range.len / PAGE_SIZE
        };
        let at = self.0.at.list;
        let len = write_list(ram, at, ranges.iter().flat_map(frames))?;
        self.0.describe(ram, 0, Buffer { at, len, ..WHOLE })?;
        Ok(vec![self.0.offer(ram)?])
    }

    fn acknowledged(&self, ram: &GuestRam, _: &[u64], _: u64) -> Checked {
        self.0.used(ram)
    }
}

/// A descriptor, with anything in it.
#[derive(Clone, Copy)]
struct Buffer {
    at: Gpa,
    len: u32,
    flags: u16,
    next: u16,
}

/// Two frames, where the driver has its list.
const WHOLE: Buffer = Buffer { at: Place::INFLATE.list, len: 8, flags: 0, next: 0 };

/// One chain. The frames lie where the driver has its list, again and again for 256 KiB where there is nothing else.
struct Case {
    name: &'static str,
    frames: &'static [u64],
    chain: &'static [Buffer],
    gone: &'static [Pages],
    refused: Refused,
}

/// A list that is good but for its buffer.
const GOOD: Case = Case {
    name: "list-of-two-frames",
    frames: &[frame(5), frame(9), frame(11)],
    chain: &[WHOLE],
    gone: &[5..6, 9..10],
    refused: NONE,
};

const BAD: Case = Case { name: "", gone: &[], refused: Refused { bad_list: 1, ..NONE }, ..GOOD };

const fn frame(number: u64) -> u64 {
    page(number).pfn().0
}

const LONG: u32 = 256 << 10;

const CASES: &[Case] = &[
    GOOD,
    Case {
        name: "list-not-a-multiple-of-4",
        chain: &[Buffer { len: 11, ..WHOLE }],
        gone: &[5..6, 9..10],
        ..BAD
    },
    Case { name: "list-of-no-bytes", chain: &[Buffer { len: 0, ..WHOLE }], ..BAD },
    Case { name: "list-of-3-bytes", chain: &[Buffer { len: 3, ..WHOLE }], ..BAD },
    Case {
        name: "list-of-256-kib",
        chain: &[Buffer { at: TRACE_CALLS, len: LONG, ..WHOLE }],
        gone: &[5..6, 9..10, 11..12],
        ..BAD
    },
    Case {
        name: "list-of-32-bits-of-bytes",
        chain: &[Buffer { at: TRACE_CALLS, len: u32::MAX, ..WHOLE }],
        gone: &[5..6, 9..10, 11..12],
        ..BAD
    },
    Case {
        name: "frame-outside-ram",
        frames: &[frame(5), RAM_END.pfn().0, u32::MAX as u64, frame(9)],
        chain: &[Buffer { len: 16, ..WHOLE }],
        refused: Refused { outside: 2, ..NONE },
        ..GOOD
    },
    Case { name: "frame-twice", frames: &[frame(5), frame(5)], gone: &[5..6], ..GOOD },
    Case { name: "list-outside-ram", chain: &[Buffer { at: RAM_END, ..WHOLE }], ..BAD },
    Case { name: "list-across-the-end-of-ram", chain: &[Buffer { at: Gpa(RAM_END.0 - 4), ..WHOLE }], ..BAD },
    Case {
        name: "list-across-the-end-of-the-address-space",
        chain: &[Buffer { at: Gpa(u64::MAX - 3), ..WHOLE }],
        ..BAD
    },
    Case { name: "list-to-be-written", chain: &[Buffer { flags: DESC_WRITE, ..WHOLE }], ..BAD },
    Case {
        name: "list-indirect",
        chain: &[Buffer { flags: DESC_INDIRECT, ..WHOLE }],
        refused: Refused { indirect: 1, ..NONE },
        ..BAD
    },
    Case {
        name: "lists-in-a-chain",
        chain: &[
            Buffer { len: 4, flags: DESC_NEXT, next: 1, ..WHOLE },
            Buffer { len: 0, flags: DESC_NEXT, next: 2, ..WHOLE },
            Buffer { at: WHOLE.at.offset(8), len: 4, ..WHOLE },
        ],
        gone: &[5..6, 11..12],
        ..BAD
    },
    Case {
        name: "lists-in-a-loop",
        chain: &[Buffer { flags: DESC_NEXT, ..WHOLE }],
        refused: Refused { broken_chain: 1, ..NONE },
        ..GOOD
    },
    Case {
        name: "lists-out-of-the-table",
        chain: &[Buffer { flags: DESC_NEXT, next: 128, ..WHOLE }],
        refused: Refused { broken_chain: 1, ..NONE },
        ..GOOD
    },
];

/// The cases over one transport; none over those without frames.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    if transport.way.carrier != Carrier::Inflate {
        return Vec::new();
    }
    let test = |name: &str, check: Box<dyn Fn(&Transport) -> Checked + Send>| {
        let transport = transport.clone();
        Trial::test(format!("{}::{name}", transport.name), move || check(&transport))
    };
    let inflated =
        CASES.iter().map(|case| test(case.name, Box::new(move |transport| check(case, transport, facts))));
    let deflated = DEFLATED
        .iter()
        .map(|case| test(case.0, Box::new(move |transport| check_deflated(case, transport, facts))));
    inflated.chain(deflated).collect()
}

fn check(case: &Case, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut lists = Lists::default();
    write_list(guest.ram(), WHOLE.at, case.frames.iter().copied())?;
    let many = case.frames.iter().copied().cycle().take(usize::try_from(LONG / 4)?);
    write_list(guest.ram(), TRACE_CALLS, many)?;
    for (index, buffer) in (0..).zip(case.chain) {
        lists.0.describe(guest.ram(), index, *buffer)?;
    }
    let kick = lists.0.offer(guest.ram())?;
    guest.call(&[kick], 1)?;
    lists.0.used(guest.ram())?;
    guest.expect(case.gone, &case.refused)?;
    guest.still_served(&mut lists)
}

/// Frames that are taken back, none of which was ever given away; what is refused of them.
type Deflated = (&'static str, &'static [u64], Refused);

const DEFLATED: &[Deflated] = &[
    ("deflate-of-one-never-inflated", &[frame(5)], NONE),
    ("deflate-outside-ram", &[frame(5), RAM_END.pfn().0], Refused { outside: 1, ..NONE }),
    ("deflate-of-none", &[], Refused { bad_list: 1, ..NONE }),
];

/// What is taken back is acknowledged, and nothing is discarded.
fn check_deflated((_, frames, refused): &Deflated, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let (mut lists, mut back) = (Lists::default(), Queue::of(Place::DEFLATE));
    let at = back.at.list;
    let len = write_list(guest.ram(), at, frames.iter().copied())?;
    back.describe(guest.ram(), 0, Buffer { at, len, ..WHOLE })?;
    let kick = back.offer(guest.ram())?;
    guest.call(&[kick], 0)?;
    let deadline = Instant::now() + PATIENCE;
    while back.used_index(guest.ram())? != back.available && Instant::now() < deadline {
        std::thread::yield_now();
    }
    back.used(guest.ram())?;
    // Whoever serves has counted what it refused once it serves something else.
    guest.report(&mut lists, &[crate::memory::pages(30, 1)], 0)?;
    guest.expect(&[30..31], refused)?;
    guest.still_served(&mut lists)
}
