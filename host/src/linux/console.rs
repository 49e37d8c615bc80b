//! What a guest says on its serial line, a line at a time.

use std::io::{self, Write};

use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};
use vmm_sys_util::eventfd::EventFd;

use super::SAYS;

/// The most bytes of a line that are kept.
const LINE_MOST: usize = 4096;
/// The most lines of the agent's that are kept: more than any of its tasks says.
const SAID_MOST: usize = 4096;
/// Lines of anybody's that are shown of a guest that dies.
const TAIL: usize = 24;

/// The serial port of a guest.
pub(super) type Port<'a> = Serial<Line, NoEvents, Console<'a>>;

/// The port's interrupt line.
#[derive(Debug)]
pub(super) struct Line(pub(super) EventFd);

impl Trigger for Line {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

/// Takes what comes out of the port.
pub(super) struct Console<'a> {
    line: Vec<u8>,
    tail: std::collections::VecDeque<String>,
    said: Vec<String>,
    hear: &'a mut dyn FnMut(&str),
}

impl<'a> Console<'a> {
    /// Of which `hear` is told every line.
    pub(super) fn new(hear: &'a mut dyn FnMut(&str)) -> Self {
        Self { line: Vec::new(), tail: Default::default(), said: Vec::new(), hear }
    }

    /// What the agent has said, without what its lines begin with.
    pub(super) fn said(&self) -> &[String] {
        &self.said
    }

    /// The last lines of all.
    pub(super) fn tail(&self) -> String {
        let rest = String::from_utf8_lossy(&self.line);
        let lines = self.tail.iter().map(String::as_str);
        lines.chain((!rest.is_empty()).then_some(&*rest)).collect::<Vec<_>>().join("\n")
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        self.line.clear();
        (self.hear)(&line);
        if let Some((_, said)) = line.split_once(SAYS)
            && self.said.len() < SAID_MOST
        {
            self.said.push(said.to_owned());
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }
}

impl Write for Console<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                byte if self.line.len() < LINE_MOST => self.line.push(*byte),
                _ => {}
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_agent_are_told_from_the_kernels() {
        let mut heard = Vec::new();
        let mut hear = |line: &str| heard.push(line.to_owned());
        let mut console = Console::new(&mut hear);
        console.write_all(b"[    0.1] Linux\r\nagent: a=1\r\n[ 2.0] agent: b=2\r\nhalf").unwrap();
        assert_eq!(console.said(), ["a=1", "b=2"]);
        assert_eq!(console.tail(), "[    0.1] Linux\nagent: a=1\n[ 2.0] agent: b=2\nhalf");
        assert_eq!(heard.len(), 3);
    }

    #[test]
    fn a_guest_that_never_stops_talking_takes_no_more_memory() {
        let mut hear = |_: &str| ();
        let mut console = Console::new(&mut hear);
        console.write_all(&vec![b'x'; 3 * LINE_MOST]).unwrap();
        assert_eq!(console.tail().len(), LINE_MOST);
        for _ in 0..2 * SAID_MOST {
            console.write_all(b"agent: x\n").unwrap();
        }
        assert_eq!((console.said().len(), console.tail().lines().count()), (SAID_MOST, TAIL));
    }
}
