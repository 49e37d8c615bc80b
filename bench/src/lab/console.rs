//! What the machine says: its first serial line, and what the emulator itself complains about.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, PipeReader};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How many lines are shown of a console whose machine failed.
const TAIL: usize = 20;

/// One look at the console.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A line, without its end.
    Line(String),
    /// Nothing for as long as was waited.
    Nothing,
    /// The machine is gone.
    End,
}

/// The console of a machine.
#[derive(Debug)]
pub struct Console {
    lines: Receiver<String>,
    last: VecDeque<String>,
}

impl Console {
    /// Listens to a pipe. The thread that does so ends with the pipe.
    ///
    /// # Errors
    /// When the thread cannot be had.
    pub fn listen(pipe: PipeReader) -> std::io::Result<Self> {
        let (sender, lines) = channel();
        std::thread::Builder::new().name("console".into()).spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                // Nobody listens any more: nothing to read for.
                if sender.send(line).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { lines, last: VecDeque::new() })
    }

    /// The next line, if one comes within `patience`.
    pub fn next(&mut self, patience: Duration) -> Heard {
        match self.lines.recv_timeout(patience) {
            Ok(line) => {
                if self.last.len() == TAIL {
                    self.last.pop_front();
                }
                self.last.push_back(line.clone());
                Heard::Line(line)
            }
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// The last lines heard.
    #[must_use]
    pub fn tail(&self) -> String {
        if self.last.is_empty() {
            return "  (it said nothing)".to_owned();
        }
        self.last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_come_in_order_and_the_last_are_kept() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut console = Console::listen(reader).unwrap();
        assert_eq!(console.next(Duration::ZERO), Heard::Nothing);
        for number in 0..30 {
            write!(writer, "line {number}\r\n").unwrap();
        }
        drop(writer);
        let patience = Duration::from_secs(10);
        for number in 0..30 {
            assert_eq!(console.next(patience), Heard::Line(format!("line {number}")));
        }
        assert_eq!(console.next(patience), Heard::End);
        let tail = console.tail();
        assert!(tail.starts_with("  line 10\n") && tail.ends_with("  line 29"), "{tail}");
    }
}
