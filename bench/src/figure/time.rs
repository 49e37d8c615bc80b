//! Dates, in UTC.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A second in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Utc {
    seconds: u64,
}

impl From<SystemTime> for Utc {
    fn from(time: SystemTime) -> Self {
        Self { seconds: time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() }
    }
}

impl Utc {
    /// Year, month and day (Howard Hinnant, "chrono-compatible low-level date algorithms").
    fn date(self) -> (u64, u64, u64) {
        let days = self.seconds / 86_400 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        (year_of_era + era * 400 + u64::from(month <= 2), month, day)
    }

    fn time(self) -> (u64, u64, u64) {
        let second = self.seconds % 86_400;
        (second / 3600, second / 60 % 60, second % 60)
    }

    /// As part of a file name: sorts by time, holds no colon.
    #[must_use]
    pub fn stamp(self) -> String {
        let ((year, month, day), (hour, minute, second)) = (self.date(), self.time());
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((year, month, day), (hour, minute, second)) = (self.date(), self.time());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let show = |seconds| Utc { seconds }.to_string();
        assert_eq!(show(0), "1970-01-01T00:00:00Z");
        assert_eq!(show(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(show(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(show(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(Utc { seconds: 1_735_689_600 }.stamp(), "20250101T000000Z");
    }
}
