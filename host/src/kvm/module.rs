//! What the modules of ours (`host/kernel`) say they have done. They serve guests inside the host's kernel; nobody loads them
//! but the owner of the host, and the lab in the machine that it emulates.

use std::fs;
use std::io;
use std::path::Path;

/// Where modules say so: in `parameters` below their name.
const MODULES: &str = "/sys/module";
/// What vhost-pagehint is opened by.
pub const VHOST_DEVICE: &str = "/dev/vhost-pagehint";

/// Whether a module of ours is loaded.
pub(crate) fn is_loaded(module: &str) -> bool {
    Path::new(MODULES).join(module).join("parameters").is_dir()
}

/// Why a module of ours serves nobody that is not loaded, and how it would be.
#[must_use]
pub fn not_loaded(module: &str) -> String {
    format!(
        "the module {module} is not loaded: `pagehint lab` loads it in the machine that it emulates; on a host of yours `pagehint modules` says where it is, for insmod"
    )
}

/// What a module has done for all guests of this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ModuleCounts {
    /// Calls that were served, or chains of a queue.
    pub calls: u64,
    /// Ranges that were zapped.
    pub ranges: u64,
    /// Pages of those ranges.
    pub pages: u64,
    /// Ranges that were refused, and calls or chains.
    pub refused: u64,
    /// Fingerprint of those pages ([`abi::digest`]).
    pub digest: u64,
}

impl ModuleCounts {
    /// So far.
    ///
    /// # Errors
    /// When it is not loaded, or says what is no number.
    pub(crate) fn read(module: &str) -> io::Result<Self> {
        let count = |name| count(module, name);
        Ok(Self {
            calls: count("calls")?,
            ranges: count("ranges")?,
            pages: count("pages")?,
            refused: count("refused")?,
            digest: count("digest")?,
        })
    }

    /// From then on.
    #[must_use]
    pub const fn since(self, then: Self) -> Self {
        Self {
            calls: self.calls.wrapping_sub(then.calls),
            ranges: self.ranges.wrapping_sub(then.ranges),
            pages: self.pages.wrapping_sub(then.pages),
            refused: self.refused.wrapping_sub(then.refused),
            digest: self.digest.wrapping_sub(then.digest),
        }
    }
}

fn count(module: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(Path::new(MODULES).join(module).join("parameters").join(name))?;
    text.trim()
        .parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_from_a_moment_on_and_a_fingerprint_wraps() {
        let then = ModuleCounts { calls: 3, ranges: 40, pages: 80, refused: 1, digest: u64::MAX };
        let now = ModuleCounts { calls: 5, ranges: 50, pages: 100, refused: 1, digest: 1 };
        assert_eq!(now.since(then), ModuleCounts { calls: 2, ranges: 10, pages: 20, refused: 0, digest: 2 });
    }
}
