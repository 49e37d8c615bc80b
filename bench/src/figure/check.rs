//! What must hold in a run, and whether it did. A check that fails makes the exit code 1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It holds.
    Holds,
    /// Nothing of the run lets us say.
    Unknown,
    /// It does not hold; the figures stand, with less trust.
    Doubtful,
    /// It does not hold, and must.
    Fails,
}

impl Standing {
    /// The word in front of a check.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holds => "ok",
            Self::Unknown => "?",
            Self::Doubtful => "doubt",
            Self::Fails => "FAIL",
        }
    }
}

/// One check.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What should hold.
    pub what: String,
    /// Whether it does.
    pub standing: Standing,
    /// By what figures.
    pub detail: String,
}

pub(crate) fn check(what: &str, standing: Standing, detail: String) -> Check {
    Check { what: what.to_owned(), standing, detail }
}

/// Fails with the faults, or holds with what was looked at; of nothing at all it does not hold.
pub(crate) fn none_of(
    what: &str,
    standing: Standing,
    faults: &[String],
    examined: u64,
    looked_at: String,
) -> Check {
    if faults.is_empty() && examined == 0 {
        check(what, Standing::Unknown, "nothing of this run was there to look at".to_owned())
    } else if faults.is_empty() {
        check(what, Standing::Holds, looked_at)
    } else {
        let more = faults.len().saturating_sub(3);
        let mut detail = faults.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        if more > 0 {
            detail.push_str(&format!("; and {more} more"));
        }
        check(what, standing, detail)
    }
}

pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_nothing_nothing_holds() {
        let of = |faults: &[String], examined| {
            none_of("all is well", Standing::Fails, faults, examined, format!("{examined} things"))
        };
        assert_eq!(of(&[], 0).standing, Standing::Unknown);
        assert_eq!((of(&[], 2).standing, of(&[], 2).detail.as_str()), (Standing::Holds, "2 things"));
        let faults: Vec<String> = (1..=5).map(|number| format!("fault {number}")).collect();
        for examined in [0, 5] {
            let check = of(&faults, examined);
            assert_eq!(check.standing, Standing::Fails);
            assert_eq!(check.detail, "fault 1; fault 2; fault 3; and 2 more");
        }
    }
}
