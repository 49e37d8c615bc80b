//! One suite over every transport: whatever a guest names, only whole pages inside the named ranges are
//! discarded, what is bad is refused and counted, and what is good is served and acknowledged all the same.
//!
//! A test is called `transport::case`. Where a transport's wire format cannot express a case, the case is
//! listed as ignored, with the reason.
//!
//! | module | cases |
//! |---|---|
//! | [`ranges`] | ranges a guest may name: the same for every carrier |
//! | [`calls`] | call words, batch counts, batch pages |
//! | [`gathered`] | logs that take back what they said; words that are written, and queued |
//! | [`requests`], [`blocks`] | request pages; pages with a status an entry |
//! | [`frames`] | lists of frames in the inflate and deflate queues |
//! | [`announcements`] | ranges that were announced by a call, or not |
//! | [`hints`] | calls of Hyper-V's, and their input pages |
//! | [`in_kernel`] | calls that a module serves inside KVM, where it is loaded |
//! | [`vhost`] | chains that a vhost worker serves, where its module is loaded |
//! | [`chains`], [`lists`] | descriptor chains and the available ring; lists of a packed ring |
//! | [`tables`], [`events`] | indirect tables; event indices |
//! | [`registers`] | the virtio registers and the status machine |
//! | [`missteps`] | guests that hang, fault, panic, or address nobody |

#![expect(clippy::single_range_in_vec_init, reason = "lists of page ranges, some of one range")]

#[path = "../common/mod.rs"]
mod common;

mod announcements;
mod blocks;
mod calls;
mod chains;
mod encoder;
mod events;
mod frames;
mod gathered;
mod gathering;
mod guest;
mod hints;
mod in_kernel;
mod lists;
mod memory;
mod missteps;
mod ranges;
mod registers;
mod requests;
mod tables;
mod vhost;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run(|facts| {
        let suites = [
            ranges::tests,
            calls::tests,
            gathered::tests,
            hints::tests,
            chains::tests,
            lists::tests,
            tables::tests,
            events::tests,
            registers::tests,
            missteps::tests,
            requests::tests,
            blocks::tests,
            frames::tests,
            announcements::tests,
        ];
        let transports = [common::transports(facts), common::gathering(facts)].concat();
        transports
            .iter()
            .flat_map(|transport| suites.iter().flat_map(|suite| suite(transport, facts)))
            .chain(vhost::tests(facts))
            .chain(in_kernel::tests(facts))
            .collect()
    })
}
