//! The step page: how the host tells an obeying guest ([`crate::axes::Program::Obey`]) what to do next.
//!
//! The guest announces [`crate::control::Control::Next`]; the host writes a step into the page and resumes it.

/// Words in a step: the verb and three arguments.
pub const WORDS: usize = 4;

/// What the guest is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Ring the doorbell of the boot words with exactly these values, whatever they mean.
    Call {
        /// The word: operation and count.
        word: u32,
        /// The gpa register.
        gpa: u64,
        /// The pages register.
        pages: u64,
    },
    /// Write `value` to `port`.
    Out {
        /// The port.
        port: u16,
        /// The value.
        value: u32,
    },
    /// Store the 32-bit `value` at `gpa`.
    Store {
        /// The address.
        gpa: u64,
        /// The value.
        value: u32,
    },
    /// Write one byte to `port`.
    Out8 {
        /// The port.
        port: u16,
        /// The value.
        value: u8,
    },
    /// Store the 16-bit `value` at `gpa`.
    Store16 {
        /// The address.
        gpa: u64,
        /// The value.
        value: u16,
    },
    /// Load a 32-bit value from `gpa` into the notes' answer.
    Load {
        /// The address.
        gpa: u64,
    },
    /// Put the time stamp counter into the notes' answer.
    Clock,
    /// Halt until an interrupt has come since the last look.
    Halt,
    /// Execute a run of so many simple instructions.
    Count {
        /// Loop iterations of two instructions.
        iterations: u64,
    },
    /// Execute an undefined instruction with no handler for it: a triple fault.
    TripleFault,
    /// Spin for ever with no exit.
    Hang,
    /// Panic.
    Panic,
}

impl Step {
    /// The step as words.
    #[must_use]
    pub const fn words(self) -> [u64; WORDS] {
        match self {
            Self::Call { word, gpa, pages } => [1, word as u64, gpa, pages],
            Self::Out { port, value } => [3, port as u64, value as u64, 0],
            Self::Store { gpa, value } => [4, gpa, value as u64, 0],
            Self::Load { gpa } => [5, gpa, 0, 0],
            Self::Clock => [6, 0, 0, 0],
            Self::Halt => [7, 0, 0, 0],
            Self::Count { iterations } => [8, iterations, 0, 0],
            Self::TripleFault => [9, 0, 0, 0],
            Self::Hang => [10, 0, 0, 0],
            Self::Panic => [11, 0, 0, 0],
            Self::Out8 { port, value } => [12, port as u64, value as u64, 0],
            Self::Store16 { gpa, value } => [13, gpa, value as u64, 0],
        }
    }

    /// The step these words are, if they are one.
    #[must_use]
    pub fn from_words(words: [u64; WORDS]) -> Option<Self> {
        let [verb, a, b, c] = words;
        let low = |value: u64| u32::try_from(value).ok();
        Some(match verb {
            1 => Self::Call { word: low(a)?, gpa: b, pages: c },
            3 => Self::Out { port: u16::try_from(a).ok()?, value: low(b)? },
            4 => Self::Store { gpa: a, value: low(b)? },
            5 => Self::Load { gpa: a },
            6 => Self::Clock,
            7 => Self::Halt,
            8 => Self::Count { iterations: a },
            9 => Self::TripleFault,
            10 => Self::Hang,
            11 => Self::Panic,
            12 => Self::Out8 { port: u16::try_from(a).ok()?, value: u8::try_from(b).ok()? },
            13 => Self::Store16 { gpa: a, value: u16::try_from(b).ok()? },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_round_trip() {
        for step in [
            Step::Call { word: 7, gpa: 1, pages: 2 },
            Step::Out { port: 9, value: 8 },
            Step::Store { gpa: 4, value: 5 },
            Step::Load { gpa: 6 },
            Step::Clock,
            Step::Halt,
            Step::Count { iterations: 1 },
            Step::TripleFault,
            Step::Hang,
            Step::Panic,
            Step::Out8 { port: 9, value: 8 },
            Step::Store16 { gpa: 4, value: 5 },
        ] {
            assert_eq!(Step::from_words(step.words()), Some(step));
        }
        assert_eq!(Step::from_words([0; WORDS]), None);
    }
}
