//! How far a run goes that goes on until it knows enough: shares of what is compared, and times.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most blocks of a run that goes on until it knows enough.
pub const MOST_BLOCKS: u32 = 2000;

/// Whether a run looks at its intervals after so many blocks: after those it begins with, and after half as many
/// more, again and again.
#[must_use]
pub fn is_look(blocks: u32, first: u32) -> bool {
    let looks =
        std::iter::successors(Some(first.max(1)), |blocks| Some(blocks.saturating_mul(3).div_ceil(2)));
    looks.take_while(|look| *look <= MOST_BLOCKS).any(|look| look == blocks)
}

/// A day.
const MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// Why it is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UntilError {
    /// Neither a share nor a time.
    #[error("{found:?} is {wanted}")]
    Form {
        /// What was given.
        found: String,
        /// What it is not.
        wanted: &'static str,
    },
}

/// A share above 0 and up to 1, written in per cent: `2%`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Share(f64);

/// A time above 0 and up to a day, written with its unit: `90s`, `10m`, `1h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Span(Duration);

/// Until what a run adds blocks.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Until {
    /// The intervals of its crux comparisons reach no further to either side.
    Narrow(Share),
    /// So much time is over.
    Over(Span),
}

impl Share {
    /// As a number: 0.02 for `2%`.
    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl Span {
    /// How long.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Half an hour.
    pub const HALF_AN_HOUR: Self = Self(Duration::from_secs(30 * 60));
}

impl FromStr for Share {
    type Err = UntilError;

    fn from_str(text: &str) -> Result<Self, UntilError> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
        let share = percent.filter(|percent| *percent > 0.0 && *percent <= 100.0);
        share.map(|percent| Self(percent / 100.0)).ok_or_else(|| UntilError::Form {
            found: text.to_owned(),
            wanted: "no share: write per cent above 0, up to 100: 2%",
        })
    }
}

impl FromStr for Span {
    type Err = UntilError;

    fn from_str(text: &str) -> Result<Self, UntilError> {
        let units = [("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let seconds = units.iter().find_map(|(unit, seconds)| {
            Some(text.strip_suffix(unit)?.trim_end().parse::<f64>().ok()? * seconds)
        });
        let in_range = seconds.filter(|seconds| *seconds > 0.0 && *seconds <= MOST.as_secs_f64());
        in_range.map(|seconds| Self(Duration::from_secs_f64(seconds))).ok_or_else(|| UntilError::Form {
            found: text.to_owned(),
            wanted: "no time: write s, m or h after a number above 0, up to a day: 90s, 10m, 1h",
        })
    }
}

impl FromStr for Until {
    type Err = UntilError;

    fn from_str(text: &str) -> Result<Self, UntilError> {
        let either = text.parse().map(Self::Narrow).or_else(|_| text.parse().map(Self::Over));
        either.map_err(|_: UntilError| UntilError::Form {
            found: text.to_owned(),
            wanted: "neither a share nor a time: write 2%, or 90s, 10m, 1h",
        })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded, since 0.07 * 100 is not 7.
        write!(f, "{}%", (self.0 * 1e8).round() / 1e6)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        let whole = |unit: f64| (seconds / unit).fract() == 0.0;
        match () {
            () if whole(3600.0) => write!(f, "{}h", seconds / 3600.0),
            () if whole(60.0) => write!(f, "{}m", seconds / 60.0),
            () => write!(f, "{seconds}s"),
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Narrow(share) => share.fmt(f),
            Self::Over(span) => span.fmt(f),
        }
    }
}

/// Written and read as people do.
macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = UntilError;

            fn try_from(text: String) -> Result<Self, UntilError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(Share, Span, Until);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_few_and_do_not_depend_on_what_is_seen() {
        let looks: Vec<u32> = (0..100).filter(|blocks| is_look(*blocks, 16)).collect();
        assert_eq!(looks, [16, 24, 36, 54, 81]);
        assert!(is_look(1, 0) && is_look(2, 1) && is_look(3, 1) && !is_look(4, 1));
    }

    #[test]
    fn what_is_written_is_read() {
        for text in ["2%", "0.5%", "100%", "7%", "90s", "10m", "1h", "0.5s", "24h"] {
            assert_eq!(text.parse::<Until>().unwrap().to_string(), text);
        }
        assert_eq!("120s".parse::<Until>().unwrap().to_string(), "2m");
        assert!("2%".parse::<Share>().is_ok_and(|share| (share.value() - 0.02).abs() < 1e-12));
    }

    #[test]
    fn what_is_neither_is_refused_with_what_to_write() {
        for text in ["", "2", "%", "0%", "-1%", "101%", "nan%", "0m", "25h", "1d", "infs", "10 m%"] {
            let error = text.parse::<Until>().unwrap_err().to_string();
            assert!(error.contains("write 2%"), "{error}");
        }
    }
}
