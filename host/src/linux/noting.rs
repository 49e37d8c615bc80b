//! A transport whose reports are noted before they are answered: the guest has none of their pages back yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::calls::Answer;

use super::account::Book;
use crate::balloon::{RingCounts, RingError};
use crate::kvm::{HostTsc, Request};
use crate::memory::{Residency, ResidencyError};
use crate::reclaim::Batch;
use crate::transport::{Fetched, Told, Transport};

/// The book of a guest, and whoever looks at memory for it.
#[derive(Debug)]
pub(super) struct Noted {
    book: Book,
    /// Looks at all of memory whenever a report is answered, if anybody does.
    eye: Option<Eye>,
    /// Why it could not be looked at, the first time.
    error: Option<ResidencyError>,
}

#[derive(Debug)]
struct Eye {
    residency: Residency,
    held: Vec<bool>,
}

/// The same, for the thread that serves and the one that runs the guest.
#[derive(Clone, Debug)]
pub(super) struct SharedBook(Arc<Mutex<Noted>>);

impl SharedBook {
    /// Of memory of so many pages; with a `residency` of all of it each report is looked at.
    pub(super) fn new(pages: usize, residency: Option<Residency>) -> Self {
        let eye = residency.map(|residency| Eye { held: vec![false; residency.pages()], residency });
        Self(Arc::new(Mutex::new(Noted { book: Book::new(pages, eye.is_some()), eye, error: None })))
    }

    /// Looks into the book, between two reports.
    ///
    /// # Errors
    /// If memory could not be looked at when some report was answered.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Book) -> T) -> Result<T, ResidencyError> {
        let mut noted = self.lock();
        match noted.error.take() {
            Some(error) => Err(error),
            None => Ok(look(&noted.book)),
        }
    }

    fn note(&self, batch: &Batch) {
        let mut noted = self.lock();
        let Noted { book, eye, error } = &mut *noted;
        let looked = eye.as_mut().map(|eye| eye.residency.read(&mut eye.held));
        if let Some(Err(failed)) = looked {
            error.get_or_insert(failed);
        }
        book.note(HostTsc::now().0, batch.ranges(), eye.as_ref().map(|eye| eye.held.as_slice()));
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transport, and the book.
pub(super) struct Noting {
    pub(super) transport: Box<dyn Transport>,
    pub(super) book: SharedBook,
}

impl Transport for Noting {
    fn fetch(&mut self, request: &Request, batch: &mut Batch) -> Result<Fetched, RingError> {
        self.transport.fetch(request, batch)
    }

    fn complete(&mut self, batch: &Batch) -> Result<Answer, RingError> {
        self.book.note(batch);
        self.transport.complete(batch)
    }

    fn put_aside(&mut self) {
        self.transport.put_aside();
    }

    fn take_up(&mut self) {
        self.transport.take_up();
    }

    fn queues(&self) -> bool {
        self.transport.queues()
    }

    fn spared(&self) -> u64 {
        self.transport.spared()
    }

    fn was_unasked(&self) -> bool {
        self.transport.was_unasked()
    }

    fn counts(&self) -> RingCounts {
        self.transport.counts()
    }

    fn told(&self) -> Told {
        self.transport.told()
    }
}
