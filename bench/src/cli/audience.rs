//! Whoever reads what is printed, and may have gone.

use std::io::{self, Write};

/// Standard output, to which it is no error that nobody reads on: the code of a command is what it found, and not
/// whether somebody looked.
pub(super) struct Audience<'a> {
    out: &'a mut dyn Write,
    has_gone: bool,
}

impl<'a> Audience<'a> {
    pub(super) fn of(out: &'a mut dyn Write) -> Self {
        Self { out, has_gone: false }
    }

    fn unless_gone<T>(
        &mut self,
        otherwise: T,
        tell: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> io::Result<T> {
        match (!self.has_gone).then(|| tell(self.out)) {
            Some(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.has_gone = true;
                Ok(otherwise)
            }
            Some(Err(error)) => {
                Err(io::Error::new(error.kind(), format!("standard output cannot be written: {error}")))
            }
            told => told.unwrap_or(Ok(otherwise)),
        }
    }
}

impl Write for Audience<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_gone(bytes.len(), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_gone((), |out| out.flush())
    }
}
