//! What a Linux guest says, and what is looked at then.

use std::sync::Arc;

use abi::calls::Answer;
use abi::control::Control;

use super::account::Account;
use super::console::Port;
use super::error::LinuxError;
use super::noting::SharedBook;
use super::outcome::Mark;
use crate::balloon::SharedBalloon;
use crate::kvm::{Board, Exits, Flow, HostTsc, Ports, Request, Watch};
use crate::memory::Residency;
use crate::serve::{Serve, Server, Stamps};

/// The board of a Linux guest.
pub(super) struct Session<'a> {
    pub(super) balloon: &'a SharedBalloon,
    pub(super) server: Server,
    pub(super) stamps: Arc<Stamps>,
    pub(super) port: Port<'a>,
    pub(super) residency: Residency,
    pub(super) marks: Vec<Mark>,
    pub(super) book: SharedBook,
    /// Whether what is reported is given back.
    pub(super) frees: bool,
    /// Whether each page is resident; of as many as there are.
    pub(super) held: Vec<bool>,
    pub(super) account: Option<Account>,
}

/// The most marks a guest may leave.
const MARKS_MOST: usize = 1 << 16;

impl Session<'_> {
    fn mark(&mut self, at: Control, exits: &Exits) -> Result<Mark, LinuxError> {
        let served = self.server.served();
        let spent = served.spent;
        Ok(Mark {
            at,
            ticks: HostTsc::now().0,
            exits: *exits,
            reports: self.stamps.pushed(),
            told_pages: served.taken.digest.pages,
            discarded_pages: served.taken.discarded_pages,
            madvise_calls: served.taken.madvise_calls,
            madvise_failures: served.taken.madvise_failures,
            spent: [spent.fetch, spent.discard, spent.complete],
            // Last: it takes longest.
            resident_pages: self.residency.count()?,
        })
    }
}

impl Session<'_> {
    /// Reporting has settled: what became of all that was reported since the task began.
    fn settled(&mut self) -> Result<(), LinuxError> {
        let begin = self.marks.iter().rev().find(|mark| mark.at == Control::Begin).map(|mark| mark.ticks);
        if let Some(begin) = begin {
            self.residency.read(&mut self.held)?;
            let account = |book: &super::account::Book| book.account(begin, self.frees, &self.held);
            self.account = self.book.with(account)?;
        }
        Ok(())
    }
}

impl Board for Session<'_> {
    type Error = LinuxError;

    fn call<W: Watch>(&mut self, request: &Request, at: HostTsc) -> Result<Answer, LinuxError> {
        Ok(self.server.call::<W>(request, at)?)
    }

    fn is_kick(&self, queue: u32) -> bool {
        self.balloon.is_kick(queue)
    }

    fn control(&mut self, control: Control, exits: &Exits) -> Result<Flow, LinuxError> {
        if self.marks.len() < MARKS_MOST {
            let mark = self.mark(control, exits)?;
            self.marks.push(mark);
        }
        if control == Control::Settled {
            self.settled()?;
        }
        Ok(if control == Control::Done { Flow::Leave } else { Flow::Resume })
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        self.balloon.read(offset, data);
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), LinuxError> {
        Ok(self.balloon.write(offset, data)?)
    }
}

impl Ports for Session<'_> {
    fn put(&mut self, offset: u8, value: u8) -> Result<(), LinuxError> {
        self.port.write(offset, value).map_err(LinuxError::port)
    }

    fn get(&mut self, offset: u8) -> u8 {
        self.port.read(offset)
    }
}
