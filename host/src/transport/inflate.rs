//! Frames arrive in the balloon's inflate queue, and are taken back in its deflate queue: see [`abi::wire::frames`].

use abi::calls::{Answer, Operation};

use super::{Fetched, Told, Transport, done};
use crate::balloon::{RingError, SharedBalloon};
use crate::kvm::Request;
use crate::reclaim::Batch;

/// Takes a list at a time. Whichever queue was kicked, both are looked at, what is taken back first: by one eventfd nobody
/// hears which it was.
#[derive(Debug)]
pub(crate) struct Inflate {
    balloon: SharedBalloon,
    at_hand: AtHand,
    told: Told,
}

/// What was found last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AtHand {
    /// A list to be given away; the head of its chain.
    Inflated(u16),
    /// A list that was taken back, and acknowledged.
    Deflated,
    /// A call that is no kick.
    NoKick,
}

impl Inflate {
    pub(crate) const fn new(balloon: SharedBalloon) -> Self {
        Self { balloon, at_hand: AtHand::NoKick, told: Told { announced: 0, deflated: 0, overflows: 0 } }
    }
}

impl Transport for Inflate {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        self.at_hand = AtHand::NoKick;
        if !matches!(Operation::from_word(request.word), Some(Operation::Kick | Operation::Queue { .. })) {
            batch.refused.bad_call += 1;
            return Ok(Fetched::Call);
        }
        let mut balloon = self.balloon.lock();
        if let Some(pages) = balloon.deflate(&mut batch.refused)? {
            self.told.deflated += pages;
            self.at_hand = AtHand::Deflated;
            return Ok(Fetched::Aside);
        }
        Ok(match balloon.inflate(batch)? {
            Some(head) => {
                self.at_hand = AtHand::Inflated(head);
                Fetched::Call
            }
            None => Fetched::Nothing,
        })
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        match self.at_hand {
            AtHand::Inflated(head) => self.balloon.lock().complete(head)?,
            AtHand::Deflated => {}
            AtHand::NoKick => return Ok(Answer::NoSuchCall),
        }
        Ok(done(batch))
    }

    fn queues(&self) -> bool {
        self.at_hand != AtHand::NoKick
    }

    fn told(&self) -> Told {
        self.told
    }
}
