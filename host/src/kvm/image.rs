//! The payload image: built by `build.rs`, loaded by linux-loader.

use abi::layout::IMAGE;
use linux_loader::loader::{Elf, KernelLoader};
use vm_memory::GuestAddress;

use crate::memory::GuestRam;

/// The image this build embeds.
pub(crate) const PAYLOAD: &[u8] = include_bytes!(env!("PAGEHINT_PAYLOAD"));
/// The target it was built for.
pub(crate) const PAYLOAD_TARGET: &str = env!("PAGEHINT_PAYLOAD_TARGET");

/// An image that cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("the payload image cannot be loaded: {0}")]
pub struct ImageError(linux_loader::loader::Error);

/// Loads an ELF image and returns its entry point.
///
/// # Errors
/// [`ImageError`] if it is no static ELF executable or does not fit.
pub(crate) fn load(ram: &GuestRam, image: &[u8]) -> Result<u64, ImageError> {
    let mut image = std::io::Cursor::new(image);
    let lowest = Some(GuestAddress(IMAGE.0));
    // The image is linked to run where it says; no offset is added.
    let loaded = Elf::load(ram.memory(), None, &mut image, lowest).map_err(ImageError)?;
    Ok(loaded.kernel_load.0)
}
