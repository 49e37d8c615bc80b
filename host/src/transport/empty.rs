//! Nothing arrives: the doorbell alone.

use abi::calls::{Answer, Operation};

use super::{Fetched, Transport};
use crate::balloon::RingError;
use crate::kvm::Request;
use crate::reclaim::Batch;

/// Takes the operation that asks for nothing.
#[derive(Debug, Default)]
pub(crate) struct Empty {
    answer: Option<Answer>,
}

impl Transport for Empty {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        self.answer = match Operation::from_word(request.word) {
            // A kick asks for no more than that where there is no ring.
            Some(Operation::Nothing | Operation::Kick) => None,
            _ => {
                batch.refused.bad_call += 1;
                Some(Answer::NoSuchCall)
            }
        };
        Ok(Fetched::Call)
    }

    fn complete(&mut self, _: &Batch) -> Result<Answer, RingError> {
        Ok(self.answer.unwrap_or(Answer::Done { refused: 0 }))
    }
}
