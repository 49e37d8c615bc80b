//! The measured part of a trial, which a guest begins once and ends once after that.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::error::TrialError;

/// What was marked at its beginning and at its end.
#[derive(Debug)]
pub(crate) struct Part<M> {
    begin: Option<M>,
    end: Option<M>,
}

impl<M> Default for Part<M> {
    fn default() -> Self {
        Self { begin: None, end: None }
    }
}

impl<M> Part<M> {
    /// It begins.
    ///
    /// # Errors
    /// [`TrialError::Protocol`] if it has begun before.
    pub(crate) fn begin(&mut self, mark: M) -> Result<(), TrialError> {
        if self.begin.is_some() {
            return Err(TrialError::Protocol { what: "it began its measured part twice" });
        }
        self.begin = Some(mark);
        Ok(())
    }

    /// It ends.
    ///
    /// # Errors
    /// [`TrialError::Protocol`] if it has not begun, or has ended before.
    pub(crate) fn end(&mut self, mark: M) -> Result<(), TrialError> {
        if !self.is_running() {
            return Err(TrialError::Protocol { what: "it ended a measured part that it was not in" });
        }
        self.end = Some(mark);
        Ok(())
    }

    /// Whether it has begun and not ended.
    pub(crate) const fn is_running(&self) -> bool {
        self.begin.is_some() && self.end.is_none()
    }

    /// Its beginning and its end.
    ///
    /// # Errors
    /// [`TrialError::Protocol`] if there was no such part.
    pub(crate) fn marks(&self) -> Result<(&M, &M), TrialError> {
        let marks = self.begin.as_ref().zip(self.end.as_ref());
        marks.ok_or(TrialError::Protocol { what: "it was done without a measured part" })
    }
}

/// What all threads of this process have run so far.
pub(crate) fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    // Neither part is ever negative, and there are less than 10^9 nanoseconds in the second.
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_begins_once_and_ends_once() {
        let mut part = Part::default();
        assert!(part.end(0).is_err() && part.marks().is_err() && !part.is_running());
        part.begin(1).unwrap();
        assert!(part.is_running() && part.begin(2).is_err() && part.marks().is_err());
        part.end(3).unwrap();
        assert!(part.end(4).is_err() && part.begin(5).is_err() && !part.is_running());
        assert_eq!(part.marks().unwrap(), (&1, &3));
    }
}
