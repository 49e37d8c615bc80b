//! A driver that is not ours reports through our device, on the real device: `virtio-drivers`, in a guest of
//! its own (`third-party-payload`, which says how guest and test take turns).
//!
//! The guest is built here, at run time, by a cargo of its own: only this test needs it, and its dependencies
//! are in no lock file but its own.

mod common;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use abi::addr::{ByteRange, Gpa, Order, PAGE_SIZE, PageRange, Pfn};
use abi::layout::{ARENA_START, STEP};
use abi::notes;
use abi::wire::virtio::status;
use common::{Checked, Transport};
use host::axes::{Axis, Carrier, Coalesce, Completion, Discard, Doorbell, RingFeatures, Way};
use host::balloon::RingCounts;
use host::probe::Facts;
use host::reclaim::Refused;
use host::testing::rig::Rig;
use host::testing::specs::{SEED, TIMED};
use host::timed::TimedSpec;
use libtest_mimic::{Failed, Trial};

const BARE_TARGET: &str = "x86_64-unknown-none";
/// Blocks reported at once, and their order: as many as the guest's queue has entries.
const BLOCKS: u64 = 32;
const ORDER: u64 = 2;

fn main() -> ExitCode {
    common::run(|facts| {
        let rings = common::transports(facts).into_iter().filter(is_driven_by_registers);
        rings.flat_map(with_each_option).flat_map(|transport| over(transport, facts)).collect()
    })
}

/// The guest kicks at the notify register and polls.
fn is_driven_by_registers(transport: &Transport) -> bool {
    let kick = matches!(transport.way.doorbell, Doorbell::Mmio | Doorbell::IoeventfdMmio);
    // Where packed queues are offered too, it accepts split ones.
    let is_ring = matches!(transport.way.carrier, Carrier::Ring | Carrier::PackedRing);
    is_ring && kick && transport.way.completion != Completion::Interrupt
}

/// A ring as it is, and one that is plain with everything that the guest knows: it accepts what is offered of tables and
/// event indices. Of an order it knows nothing.
fn with_each_option(transport: Transport) -> Vec<Transport> {
    if transport.way.carrier != Carrier::Ring || transport.way.ring_features != RingFeatures::NONE {
        return vec![transport];
    }
    let known = RingFeatures::ALL.iter().copied().filter(|options| !options.in_order);
    let having = |ring_features: RingFeatures| {
        let way = Way { ring_features, ..transport.way };
        let name = if ring_features == RingFeatures::NONE {
            transport.name.clone()
        } else {
            format!("{}-{}", transport.name, ring_features.name())
        };
        Transport { name, way }
    };
    known.map(having).collect()
}

type Test = fn(Guest) -> Checked;

fn over(transport: Transport, facts: &'static Facts) -> Vec<Trial> {
    let tests: [(&str, Coalesce, Discard, Test); 4] = [
        ("reports-are-discarded", Coalesce::Each, Discard::DontNeed, reports_are_discarded),
        ("reports-are-merged", Coalesce::Merged, Discard::DontNeed, reports_are_discarded),
        ("unaligned-buffers-lose-whole-pages-only", Coalesce::Each, Discard::DontNeed, unaligned_buffers),
        ("nothing-is-discarded-where-nothing-is-asked", Coalesce::Each, Discard::None, nothing_is_discarded),
    ];
    tests
        .into_iter()
        .map(|(name, coalesce, discard, test)| {
            let spec = TimedSpec { way: Way { coalesce, discard, ..transport.way }, ..TIMED };
            let name = format!("third-party::{}::{name}", transport.name);
            Trial::test(name, move || test(Guest::boot(&spec, facts)?))
        })
        .collect()
}

/// Many reports, each of a full ring of blocks all over the arena.
fn reports_are_discarded(mut guest: Guest) -> Checked {
    for round in 0..20 {
        guest.report(&scattered_blocks(round, guest.arena.pages()))?;
    }
    guest.end(20)
}

fn unaligned_buffers(mut guest: Guest) -> Checked {
    let at =
        |page: u64, offset: u64, len| ByteRange { gpa: Pfn(ARENA_START.0 + page).gpa().offset(offset), len };
    guest.report(&[
        at(0, 0x800, 0x2000),
        at(8, 0, 0x1fff),
        at(16, 1, 3 * PAGE_SIZE - 1),
        at(24, 0xfff, PAGE_SIZE + 1),
    ])?;
    guest.end(1)
}

fn nothing_is_discarded(mut guest: Guest) -> Checked {
    guest.list(&scattered_blocks(0, guest.arena.pages()))?;
    guest.rig.resume()?;
    guest.expect_gone(&[])
}

/// Blocks of which no two overlap, in an order of their own each round.
fn scattered_blocks(round: u64, pages: u64) -> Vec<ByteRange> {
    let order = Order::new(ORDER).unwrap_or_default();
    let blocks = pages / order.pages();
    // An odd step visits every block of a power of two of them once.
    let step = (SEED + 2 * round) | 1;
    let start = |number: u64| Pfn(ARENA_START.0 + (round + number * step) % blocks * order.pages());
    (0..BLOCKS).map(|number| PageRange::block(start(number), order).as_bytes()).collect()
}

/// The booted guest; its balloon is up and every page of its arena is written.
struct Guest {
    rig: Rig,
    arena: PageRange,
    /// What the device offers of what the guest knows.
    options: RingFeatures,
    /// Pages reported so far.
    pages: u64,
}

impl Guest {
    fn boot(spec: &TimedSpec, facts: &Facts) -> Result<Self, Failed> {
        let rig = Rig::with_image(spec, facts, image(facts)?)?;
        let arena = ByteRange::of_pages(ARENA_START.gpa(), spec.arena_pages()).and_then(ByteRange::inward);
        let arena = arena.map_err(|error| format!("{error:?}"))?;
        let up = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK | status::DRIVER_OK;
        if rig.device_status() != up {
            return Err(format!("the device is in status {:#x}", rig.device_status()).into());
        }
        Ok(Self { rig, arena, options: spec.way.ring_features, pages: 0 })
    }

    /// Has the guest report `ranges`: exactly their whole pages must be gone, and read as zeroes.
    fn report(&mut self, ranges: &[ByteRange]) -> Checked {
        self.expect_gone(&[])?;
        self.list(ranges)?;
        self.rig.resume()?;
        self.expect_answer("the used length", 0)?;
        self.expect_gone(ranges)?;
        self.pages += self.whole_pages(ranges);
        self.rig.resume()?;
        self.expect_answer("pages with wrong contents", 0)
    }

    fn list(&self, ranges: &[ByteRange]) -> Checked {
        let pairs = ranges.iter().flat_map(|range| [range.gpa.0, range.len]);
        let words: Vec<_> = [ranges.len() as u64].into_iter().chain(pairs).collect();
        Ok(self.rig.ram().write_words(STEP, &words)?)
    }

    fn whole_pages(&self, ranges: &[ByteRange]) -> u64 {
        self.arena.frames().filter(|frame| is_named(*frame, ranges)).count() as u64
    }

    fn expect_answer(&self, what: &str, wanted: u64) -> Checked {
        let found = self.rig.ram().read(notes::ANSWER)?;
        if found == wanted { Ok(()) } else { Err(format!("{what}: {found}, not {wanted}").into()) }
    }

    /// Exactly the pages wholly inside `ranges` are not resident, by the kernel's account.
    fn expect_gone(&self, ranges: &[ByteRange]) -> Checked {
        let held = self.rig.resident(self.arena)?;
        for (frame, held) in self.arena.frames().zip(held) {
            let gone = is_named(frame, ranges);
            if held == gone {
                let wanted = if gone { "gone" } else { "resident" };
                return Err(format!("page {frame:?} should be {wanted} and is not").into());
            }
        }
        Ok(())
    }

    /// Ends the program; the host must have served so many reports and refused nothing.
    fn end(mut self, reports: u64) -> Checked {
        self.list(&[])?;
        self.rig.resume()?;
        // The device thread counts after it has acknowledged.
        if !self.rig.await_served(reports) {
            return Err(format!("{} reports served, not {reports}", self.rig.served()).into());
        }
        let counts = (self.rig.served(), self.rig.refused(), self.rig.discarded_pages());
        let wanted = (reports, Refused::default(), self.pages);
        if counts != wanted {
            return Err(format!("{counts:?}, not {wanted:?}").into());
        }
        let RingCounts { tables, interrupts_due, interrupts_suppressed, .. } = self.rig.ring_counts();
        let took_part = [tables, interrupts_due + interrupts_suppressed];
        let wanted = [self.options.indirect, self.options.event_idx].map(|is| if is { reports } else { 0 });
        if took_part == wanted {
            Ok(())
        } else {
            Err(format!("tables, events: {took_part:?}, not {wanted:?}").into())
        }
    }
}

/// Whether every byte of the page is in one of the ranges.
fn is_named(frame: Pfn, ranges: &[ByteRange]) -> bool {
    let Gpa(start) = frame.gpa();
    ranges.iter().any(|range| range.gpa.0 <= start && start + PAGE_SIZE <= range.gpa.0 + range.len)
}

/// The guest's image, built when it is first asked for.
fn image(facts: &Facts) -> Result<&'static [u8], Failed> {
    static IMAGE: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| build(facts.payload_target));
    Ok(image.as_ref().map_err(Clone::clone)?)
}

/// Builds the guest for the target our own payload was built for.
fn build(target: &str) -> Result<Vec<u8>, String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party-payload/Cargo.toml");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("third-party-payload");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The target is always named, or the flags would reach the build scripts too.
    cargo.args(["build", "--release", "--locked", "--quiet", "--target", target]);
    cargo.arg("--manifest-path").arg(&manifest).arg("--target-dir").arg(&out);
    for (name, _) in env::vars_os().filter(|(name, _)| leaks(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(target).join("\x1f"));
    let output = cargo.output().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("the guest does not build:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    let image: PathBuf = [&out, Path::new(target), Path::new("release/third-party-payload")].iter().collect();
    std::fs::read(&image).map_err(|error| format!("{}: {error}", image.display()))
}

/// What the build of this test was told and the build of the guest must not be.
fn leaks(name: &str) -> bool {
    const NAMES: [&str; 6] = [
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_TARGET_DIR",
    ];
    NAMES.contains(&name) || name.starts_with("CARGO_PROFILE_")
}

/// As `build.rs` has them for our own payload: an ELF file that is loaded as it is.
fn flags(target: &str) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-payload/guest.ld");
    let script = script.display();
    let link: &[&str] = if target == BARE_TARGET {
        &["-T", "--build-id=none"]
    } else {
        &["-Wl,-T", "-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"]
    };
    let mut flags: Vec<_> =
        ["-Cpanic=abort", "-Crelocation-model=static", "-Cno-redzone=yes"].map(String::from).into();
    flags.extend(link.iter().map(|flag| match *flag {
        "-T" | "-Wl,-T" => format!("-Clink-arg={flag}{script}"),
        flag => format!("-Clink-arg={flag}"),
    }));
    flags
}
