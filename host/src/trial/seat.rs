//! What a processor's exits can reach: the balloon, whoever serves its doorbell, and whoever hears what it says.

use abi::calls::Answer;
use abi::control::Control;

use super::error::TrialError;
use crate::balloon::SharedBalloon;
use crate::kvm::{Board, Exits, Flow, HostTsc, Request, Watch};
use crate::serve::Serve;

/// The place of one processor in a trial.
pub(crate) struct Seat<'a, S, C> {
    balloon: &'a SharedBalloon,
    server: S,
    control: C,
}

impl<'a, S, C> Seat<'a, S, C>
where
    S: Serve,
    C: FnMut(Control, &Exits, &S) -> Result<Flow, TrialError>,
{
    /// A place whose processor calls `server` and is heard by `control`, which may look at the server meanwhile.
    pub(crate) const fn new(balloon: &'a SharedBalloon, server: S, control: C) -> Self {
        Self { balloon, server, control }
    }

    /// The processor has left; who has served it.
    pub(crate) fn leave(self) -> S {
        self.server
    }
}

impl<S, C> Board for Seat<'_, S, C>
where
    S: Serve,
    C: FnMut(Control, &Exits, &S) -> Result<Flow, TrialError>,
{
    type Error = TrialError;

    #[inline]
    fn call<W: Watch>(&mut self, request: &Request, at: HostTsc) -> Result<Answer, TrialError> {
        Ok(self.server.call::<W>(request, at)?)
    }

    #[inline]
    fn is_kick(&self, queue: u32) -> bool {
        self.balloon.is_kick(queue)
    }

    fn control(&mut self, control: Control, exits: &Exits) -> Result<Flow, TrialError> {
        (self.control)(control, exits, &self.server)
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        self.balloon.read(offset, data);
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), TrialError> {
        Ok(self.balloon.write(offset, data)?)
    }
}
