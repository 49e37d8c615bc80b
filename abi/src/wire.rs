//! What carries ranges from the guest to the host: a file for each format.
//!
//! | module | what is agreed |
//! |---|---|
//! | [`frames`] | the lists of frames of the inflate and deflate queues |
//! | [`page`] | the batch page that a call points to |
//! | [`log`] | the same page as a log of states, which many reports fill |
//! | [`store`] | the word that a range is in which is written by itself |
//! | [`request`] | the request page of a processor, answered in place |
//! | [`status`] | the page with a status an entry |
//! | [`split_ring`], [`packed_ring`] | the ring of a virtio queue, in either format |
//! | [`indirect`] | a table of descriptors that one of a ring points to |
//! | [`event`] | at which entry a side wants to be told |
//! | [`heat_hint`] | the input page of Hyper-V's memory heat hint |
//! | [`virtio`] | the balloon that the ring belongs to, and its registers |
//!
//! One range at a time travels in the registers of the call itself: see [`crate::calls`].

pub mod event;
pub mod frames;
pub mod heat_hint;
pub mod indirect;
pub mod log;
pub mod packed_ring;
pub mod page;
pub mod request;
pub mod split_ring;
pub mod status;
pub mod store;
pub mod virtio;
