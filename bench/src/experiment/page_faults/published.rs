//! What others have published, beside which ours stand. Other processors, guests and kernels: the shape can be held
//! against ours, the figures cannot.

use abi::addr::Order;

use super::state::State;
use crate::figure::table::{Grid, strings};

/// A published result: where, on what, and the change of `page_fault1`.
struct Published {
    /// Title and date.
    source: &'static str,
    guest: &'static str,
    off: &'static str,
    without_discard: &'static str,
    with_discard: &'static str,
}

const PUBLISHED: [Published; 3] = [
    Published {
        source: "Provide support for unused page reporting v7, 2019-09",
        guest: "THP, 16 vCPUs",
        off: "-0.08 %",
        without_discard: "-0.86 %",
        with_discard: "-3.27 %",
    },
    Published {
        source: "Provide support for guest free page hints (hypercall) RFC, 2019-02",
        guest: "",
        off: "",
        without_discard: "-2.5 %",
        with_discard: "-11.5 % (and fault, zeroing)",
    },
    Published {
        source: "Provide support for free page reporting v16.1, 2020-01",
        guest: "THP, 16 vCPUs",
        off: "",
        without_discard: "",
        with_discard: "-0.8 % (8.827 → 8.756 M)",
    },
];

/// What was published for huge blocks and this state, of the series that has all three.
#[must_use]
pub fn change(unit: u8, state: State) -> Option<f64> {
    let of = |state| match state {
        State::Off => -0.0008,
        State::WithoutDiscard => -0.0086,
        State::WithDiscard => -0.0327,
    };
    (unit == Order::HUGE.get()).then(|| of(state))
}

/// As a table.
#[must_use]
pub fn table() -> Grid {
    let header = strings(["title, date", "guest", "off", "on without discard", "on with discard"]);
    let row = |published: &Published| {
        let Published { source, guest, off, without_discard, with_discard } = *published;
        strings([source, guest, off, without_discard, with_discard])
    };
    let title = "published: change of page_fault1 against a kernel without reporting".to_owned();
    Grid::new(title, header, PUBLISHED.iter().map(row).collect()).elsewhere()
}
