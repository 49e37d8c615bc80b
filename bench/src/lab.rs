//! The lab: KVM on hardware virtualisation, without the hardware.
//!
//! A processor with nested virtualisation is emulated, instruction by instruction: AMD's by QEMU, Intel's by Bochs.
//! Debian's own kernel boots on it with the kvm-amd or kvm-intel of its package, where a hypercall really exits; and
//! the first process of that machine is this very program, with the payload in it. Counted in instructions, one tick
//! is one instruction of guest, KVM, kernel and pagehint together, and a run repeats to the last of them.
//!
//! | file | what |
//! |---|---|
//! | [`packages`], [`supply`] | what has to be installed, by which command, and how it is fetched |
//! | [`kernel`], [`module`] | Debian's kernel and the modules KVM needs, fetched once and kept |
//! | [`build`] | modules of ours, built for that kernel |
//! | [`libraries`] | what a program is linked with |
//! | [`initramfs`] | all of it in one archive |
//! | [`guest`] | what a Linux guest of ours boots |
//! | [`emulator`] | what the lab asks of an emulator, and its process |
//! | [`qemu`], [`bochs`], [`processor`] | the two there are, and which is whose |
//! | [`run`] | one errand, from the archive to what comes back |
//! | [`console`] | what the machine says while it runs |
//! | [`errand`], [`parcel`], [`places`] | what is to be done inside, what comes back, and where things lie |
//! | [`inside`] | the first process of the machine |
//!
//! Nothing is left behind: the archive, a disk and what comes back are files without a name, and the emulator dies with
//! the thread that started it.

pub mod bochs;
pub mod build;
pub mod command;
pub mod console;
pub mod emulator;
pub mod errand;
pub mod error;
pub mod guest;
pub mod initramfs;
pub mod inside;
pub mod kernel;
pub mod libraries;
pub mod module;
mod mortal;
pub mod packages;
pub mod parcel;
pub mod places;
pub mod processor;
pub mod qemu;
pub mod run;
pub mod supply;
