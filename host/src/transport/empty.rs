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
        // A kick asks for no more than nothing where there is no ring.
        let asks_nothing = [Operation::Nothing, Operation::Kick].map(Operation::word).contains(&request.word);
        batch.refused.bad_call += u64::from(!asks_nothing);
        self.answer = (!asks_nothing).then_some(Answer::NoSuchCall);
        Ok(Fetched::Call)
    }

    fn complete(&mut self, _: &Batch) -> Result<Answer, RingError> {
        Ok(self.answer.unwrap_or(Answer::Done { refused: 0 }))
    }
}
