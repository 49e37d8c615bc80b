//! Watermarks: how much of a zone must stay free.

use crate::addr::PAGE_SIZE;

/// The watermarks of a zone, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watermarks {
    /// Allocations stop here.
    pub min: u64,
    /// Reporting stops here.
    pub low: u64,
}

/// Those of a zone of `zone` pages, if `managed` are managed in all: `calculate_min_free_kbytes` and
/// `__setup_per_zone_wmarks` with `watermark_scale_factor` left out.
#[must_use]
pub const fn of(managed: u64, zone: u64) -> Watermarks {
    if managed == 0 {
        return Watermarks { min: 0, low: 0 };
    }
    const PAGE_KIB: u64 = PAGE_SIZE / 1024;
    let kib = (managed * PAGE_KIB * 16).isqrt();
    let kib = if kib < 128 { 128 } else { kib };
    let kib = if kib > 262_144 { 262_144 } else { kib };
    let min = (kib / PAGE_KIB).saturating_mul(zone) / managed;
    Watermarks { min, low: min + min / 4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_linux_computes_them() {
        // 512 MiB: int_sqrt(524288 * 16) = 2896 KiB, 724 pages.
        assert_eq!(of(1 << 17, 1 << 17), Watermarks { min: 724, low: 905 });
        assert_eq!(of(1 << 17, 1 << 14).min, 90, "an eighth of them");
        assert_eq!(of(1024, 1024).min, 64, "int_sqrt(4096 * 16) = 256 KiB");
        assert_eq!(of(64, 64).min, 32, "at least 128 KiB");
        assert_eq!(of(1 << 34, 1 << 34).min, 65536, "at most 256 MiB");
        assert_eq!(of(0, 0), Watermarks { min: 0, low: 0 });
    }
}
