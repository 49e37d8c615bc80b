//! Whose processor the lab has: its emulator, and the module that makes `/dev/kvm` on it.

use abi::axes::Axis;

use super::bochs::{self, Bochs};
use super::emulator::Emulator;
use super::error::LabError;
use super::qemu::{self, Qemu};
use super::supply::Supply;
use crate::site::emulated::LabCpu;

/// The emulator of a processor, installed first if that is allowed and possible.
///
/// # Errors
/// [`LabError::Missing`] with the command that installs it.
pub fn emulator(cpu: LabCpu, supply: &mut Supply<'_>) -> Result<Box<dyn Emulator>, LabError> {
    Ok(match cpu {
        LabCpu::Amd => Box::new(qemu::SOFTWARE.provide(supply, Qemu::here)?),
        LabCpu::Intel => Box::new(bochs::SOFTWARE.provide(supply, Bochs::here)?),
    })
}

/// The module for KVM on a processor.
#[must_use]
pub const fn module(cpu: LabCpu) -> &'static str {
    match cpu {
        LabCpu::Amd => "kvm-amd",
        LabCpu::Intel => "kvm-intel",
    }
}

/// The modules for KVM on every processor there is.
pub fn modules() -> impl Iterator<Item = &'static str> {
    LabCpu::ALL.iter().map(|&cpu| module(cpu))
}
