//! Migrate types: what kind of allocation a pageblock is for, so that what cannot move lies together.

/// A migrate type (Linux: `enum migratetype`, the first three).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MigrateType {
    /// What stays where it is: most of a kernel's own.
    Unmovable,
    /// What can be moved: what users map.
    Movable,
    /// What can be thrown away: caches.
    Reclaimable,
}

impl MigrateType {
    /// All, in the order in which a pass walks their lists.
    pub const ALL: [Self; 3] = [Self::Unmovable, Self::Movable, Self::Reclaimable];

    /// Whose lists are tried when ours are empty, in this order (Linux: `fallbacks`).
    pub(super) const fn fallbacks(self) -> [Self; 2] {
        match self {
            Self::Unmovable => [Self::Reclaimable, Self::Movable],
            Self::Movable => [Self::Reclaimable, Self::Unmovable],
            Self::Reclaimable => [Self::Unmovable, Self::Movable],
        }
    }

    pub(super) const fn bits(self) -> u32 {
        self as u32
    }

    /// From what [`Self::bits`] said; a number that is none is taken for movable.
    pub(super) const fn from_bits(bits: u32) -> Self {
        match bits {
            0 => Self::Unmovable,
            2 => Self::Reclaimable,
            _ => Self::Movable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_fall_back_as_in_linux() {
        use MigrateType::{Movable, Reclaimable, Unmovable};
        assert_eq!(Unmovable.fallbacks(), [Reclaimable, Movable]);
        assert_eq!(Movable.fallbacks(), [Reclaimable, Unmovable]);
        assert_eq!(Reclaimable.fallbacks(), [Unmovable, Movable]);
    }

    #[test]
    fn bits_round_trip() {
        for migrate_type in MigrateType::ALL {
            assert_eq!(MigrateType::from_bits(migrate_type.bits()), migrate_type);
        }
        assert_eq!(MigrateType::from_bits(77), MigrateType::Movable);
    }
}
