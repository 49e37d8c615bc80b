//! Every call that is refused, and what each command makes of it.

use libc::{EACCES, EAGAIN, EBUSY, EFBIG, EINTR, EINVAL, EIO, EMFILE, ENOMEM, ENOSPC, ENOSYS, EPERM, EROFS};
use rustix::process::Resource;

use crate::Tried::{self, Compare, Doctor, Engine, Report};
use crate::judge::Expected::{self, Fails, Refuses, Says, Survives};
use crate::refuse::Is::{AtLeast, Bits, Exactly};
use crate::refuse::Refused::{Beyond, Call};
use crate::refuse::{Argument, Fault, Refused};

type Commands = &'static [(Tried, Expected)];

const COMPARE: Commands = &[(Compare, Fails)];
const EVERY_RUN: Commands = &[(Doctor, Fails), (Compare, Fails), (Engine, Fails)];

/// A fault, which is called by what is refused.
const fn fault(name: &'static str, errno: libc::c_int, refused: Refused, tried: Commands) -> Fault {
    Fault { name, refused, errno, named: name, tried }
}

impl Fault {
    /// Called so in messages.
    const fn named(self, named: &'static str) -> Self {
        Self { named, ..self }
    }
}

/// A request to KVM, by its number (`linux/kvm.h`).
macro_rules! kvm {
    ($number:literal) => {
        Call(libc::SYS_ioctl, &[Argument { number: 1, is: Bits(0xffff, 0xae00 | $number) }])
    };
}

/// A call, if its arguments are so.
macro_rules! call {
    ($call:ident $(, $number:literal: $is:expr)*) => {
        Call(libc::$call, &[$(Argument { number: $number, is: $is }),*])
    };
}

/// What memory of threads and of guests is mapped for; with the next, of guests alone.
const READ_WRITE: u64 = (libc::PROT_READ | libc::PROT_WRITE) as u64;
const RAM: u64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as u64;
const SHARED: u64 = libc::MAP_SHARED as u64;
const DISCARD: u64 = libc::MADV_DONTNEED as u64;
const NO_HUGE_PAGE: u64 = libc::MADV_NOHUGEPAGE as u64;
const DUPLICATE: u64 = libc::F_DUPFD_CLOEXEC as u64;
const CREATE: u64 = libc::O_CREAT as u64;
const ACCESS: u64 = libc::O_ACCMODE as u64;
const OPEN_BOTH: u64 = libc::O_RDWR as u64;
const KICK: u64 = libc::SIGURG as u64;
/// Bytes of an eventfd; one more is of a file.
const EVENT: u64 = 8;
/// Bytes of the page map, of which a loader reads less of a program's headers.
const PAGEMAP: u64 = 4096;

pub(crate) const FAULTS: &[Fault] = &[
    // KVM: the machine and its processors.
    fault("KVM_GET_API_VERSION", EPERM, kvm!(0x00), EVERY_RUN),
    fault("KVM_CREATE_VM", EBUSY, kvm!(0x01), EVERY_RUN),
    fault("KVM_CHECK_EXTENSION", EINVAL, kvm!(0x03), &[(Doctor, Survives), (Compare, Refuses)])
        .named("KVM_CAP"),
    fault("KVM_GET_VCPU_MMAP_SIZE", EINVAL, kvm!(0x04), COMPARE),
    fault("KVM_GET_SUPPORTED_CPUID", EPERM, kvm!(0x05), COMPARE),
    fault("KVM_CREATE_VCPU", ENOMEM, kvm!(0x41), EVERY_RUN),
    fault("KVM_SET_USER_MEMORY_REGION", EINVAL, kvm!(0x46), COMPARE),
    fault("KVM_SET_TSS_ADDR", EINVAL, kvm!(0x47), COMPARE),
    fault("KVM_CREATE_IRQCHIP", ENOMEM, kvm!(0x60), COMPARE),
    fault("KVM_SET_GSI_ROUTING", EINVAL, kvm!(0x6a), COMPARE),
    fault("KVM_IRQFD", EINVAL, kvm!(0x76), COMPARE),
    fault("KVM_IOEVENTFD", ENOSPC, kvm!(0x79), &[(Doctor, Says), (Compare, Fails)]),
    fault("KVM_RUN", EINTR, kvm!(0x80), &[(Doctor, Survives), (Engine, Refuses)])
        .named("within its deadline"),
    fault("KVM_RUN", EAGAIN, kvm!(0x80), EVERY_RUN),
    fault("KVM_RUN", ENOMEM, kvm!(0x80), &[(Doctor, Says), (Compare, Fails), (Engine, Fails)]),
    fault("KVM_SET_REGS", EINVAL, kvm!(0x82), COMPARE),
    fault("KVM_GET_SREGS", EINVAL, kvm!(0x83), COMPARE),
    fault("KVM_SET_SREGS", EINVAL, kvm!(0x84), COMPARE),
    fault("KVM_GET_LAPIC", EINVAL, kvm!(0x8e), COMPARE),
    fault("KVM_SET_LAPIC", EINVAL, kvm!(0x8f), COMPARE),
    fault("KVM_SET_CPUID2", EINVAL, kvm!(0x90), COMPARE),
    fault("KVM_SET_MP_STATE", EINVAL, kvm!(0x99), COMPARE),
    // The next two have one number, and differ in direction and size.
    fault(
        "KVM_ENABLE_CAP",
        EPERM,
        call!(SYS_ioctl, 1: Exactly(0x4068_aea3)),
        &[(Doctor, Says), (Compare, Fails)],
    ),
    fault(
        "KVM_GET_TSC_KHZ",
        EIO,
        call!(SYS_ioctl, 1: Exactly(0xaea3)),
        &[(Doctor, Survives), (Compare, Refuses)],
    ),
    fault("KVM_GET_STATS_FD", EMFILE, kvm!(0xce), &[(Compare, Survives)]),
    fault("KVM_GET_DEVICE_ATTR", EPERM, kvm!(0xe2), &[(Doctor, Survives), (Compare, Refuses)]),
    // Memory.
    fault(
        "mmap-of-guest-memory",
        ENOMEM,
        call!(SYS_mmap, 2: Exactly(READ_WRITE), 3: Exactly(RAM)),
        EVERY_RUN,
    )
    .named("mmap"),
    fault("mmap-of-kvm_run", ENOMEM, call!(SYS_mmap, 2: Exactly(READ_WRITE), 3: Exactly(SHARED)), COMPARE)
        .named("mmap"),
    fault("munmap", ENOMEM, call!(SYS_munmap), COMPARE),
    fault(
        "madvise-DONTNEED",
        EINVAL,
        call!(SYS_madvise, 2: Exactly(DISCARD)),
        &[(Compare, Fails), (Engine, Fails)],
    )
    .named("madvise"),
    fault("madvise-NOHUGEPAGE", EINVAL, call!(SYS_madvise, 2: Exactly(NO_HUGE_PAGE)), COMPARE)
        .named("MADV_NOHUGEPAGE"),
    fault(
        "pread-of-pagemap",
        EPERM,
        call!(SYS_pread64, 2: AtLeast(PAGEMAP)),
        &[(Compare, Fails), (Engine, Fails)],
    )
    .named("/proc/self/pagemap"),
    fault("move_pages", EPERM, call!(SYS_move_pages), &[(Compare, Survives)]),
    // Threads, their places and their signals.
    fault("clone3", EAGAIN, call!(SYS_clone3), EVERY_RUN).named("thread"),
    // The C library says EAGAIN for it.
    fault("mprotect-of-a-stack", ENOMEM, call!(SYS_mprotect, 2: Exactly(READ_WRITE)), &[(Compare, Refuses)])
        .named("thread"),
    fault("eventfd2", EMFILE, call!(SYS_eventfd2), EVERY_RUN).named("eventfd"),
    fault("fcntl-DUPFD", EMFILE, call!(SYS_fcntl, 1: Exactly(DUPLICATE)), COMPARE).named("device thread"),
    fault("write-of-an-eventfd", EAGAIN, call!(SYS_write, 0: AtLeast(3), 2: Exactly(EVENT)), COMPARE)
        .named("eventfd"),
    fault("read-of-an-eventfd", EIO, call!(SYS_read, 0: AtLeast(3), 2: Exactly(EVENT)), COMPARE)
        .named("kick"),
    fault("tgkill", EPERM, call!(SYS_tgkill), EVERY_RUN),
    fault("tgkill", EAGAIN, call!(SYS_tgkill), &[(Doctor, Fails)]),
    fault("signals-pending", EAGAIN, Beyond(Resource::Sigpending, 0), &[(Doctor, Survives)]),
    fault(
        "rt_sigaction",
        EPERM,
        call!(SYS_rt_sigaction, 0: Exactly(KICK)),
        &[(Doctor, Fails), (Compare, Fails)],
    )
    .named("sigaction"),
    fault("rt_sigprocmask", EPERM, call!(SYS_rt_sigprocmask), &[(Compare, Survives)]),
    fault(
        "sched_setaffinity",
        EPERM,
        call!(SYS_sched_setaffinity),
        &[(Compare, Survives), (Engine, Survives)],
    ),
    fault(
        "sched_getaffinity",
        EPERM,
        call!(SYS_sched_getaffinity),
        &[(Doctor, Survives), (Compare, Survives)],
    ),
    fault("sched_getparam", EPERM, call!(SYS_sched_getparam), &[(Doctor, Survives)]),
    fault("prctl", EPERM, call!(SYS_prctl), &[(Doctor, Survives)]),
    fault("getrandom", ENOSYS, call!(SYS_getrandom), &[(Doctor, Survives)]),
    // Files.
    fault("mkdir", EROFS, call!(SYS_mkdir), COMPARE).named("run cannot be written"),
    fault(
        "openat-O_CREAT",
        EACCES,
        call!(SYS_openat, 2: Bits(CREATE, CREATE)),
        &[(Compare, Fails), (Report, Fails)],
    )
    .named("cannot be written"),
    fault("openat-O_RDWR", EIO, call!(SYS_openat, 2: Bits(ACCESS, OPEN_BOTH)), &[(Doctor, Fails)])
        .named("/dev/kvm"),
    fault(
        "write-to-a-file",
        ENOSPC,
        call!(SYS_write, 0: AtLeast(3), 2: AtLeast(EVENT + 1)),
        &[(Compare, Fails), (Report, Fails)],
    )
    .named("run/"),
    fault("files-beyond-8-KiB", EFBIG, Beyond(Resource::Fsize, 8192), &[(Compare, Fails), (Report, Fails)])
        .named("run/"),
    fault("fdatasync", EIO, call!(SYS_fdatasync), COMPARE).named("run/"),
    fault("fsync", EIO, call!(SYS_fsync), &[(Compare, Fails), (Report, Fails)]).named("run/"),
    fault("renameat", EACCES, call!(SYS_renameat), &[(Report, Fails)]).named("run/"),
    fault("descriptors-beyond-12", EMFILE, Beyond(Resource::Nofile, 12), COMPARE).named(""),
    fault(
        "write-to-standard-output",
        EIO,
        call!(SYS_write, 0: Exactly(1)),
        &[(Doctor, Fails), (Report, Fails)],
    )
    .named("standard output"),
    fault("write-to-standard-error", EIO, call!(SYS_write, 0: Exactly(2)), &[(Compare, Survives)]),
    fault("getdents64", EACCES, call!(SYS_getdents64), &[(Doctor, Survives)]),
    fault("statx", EACCES, call!(SYS_statx), &[(Doctor, Survives)]),
];
