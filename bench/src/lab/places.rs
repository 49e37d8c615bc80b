//! Where things lie in the machine: what is packed outside and found inside.

/// This program.
pub const PAGEHINT: &str = "/bin/pagehint";
/// The command that makes it the first process.
pub const FIRST_PROCESS: &str = "lab-inside";
/// A program that was taken along.
pub const PROGRAM: &str = "/bin/program";
/// Where that lies which guests of the machine boot, if it is to run any.
pub const GUEST: &str = "/guest";
/// The kernel there.
pub const GUEST_KERNEL: &str = "vmlinuz";
/// The initramfs there.
pub const GUEST_INITRAMFS: &str = "initramfs";
/// What is to be done.
pub const ERRAND: &str = "/errand.json";
/// The plan of a run.
pub const PLAN: &str = "/plan.toml";
/// The run directory that is brought back.
pub const RUN: &str = "/run/out";
/// Kernel modules.
pub const MODULES: &str = "/modules";
/// Libraries: where every loader looks last.
pub const LIBRARIES: &str = "/lib";
/// The second serial line, over which things are sent back.
pub const BACK: &str = "/dev/ttyS1";
/// What is mounted before anything else: kind of file system, place.
pub const MOUNTS: [(&str, &str); 5] =
    [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp"), ("tmpfs", "/run")];
