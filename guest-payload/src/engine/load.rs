//! Who allocates and frees meanwhile: one module a load, and what they have in common, which is their [`Owner`].

use abi::engine::Load;

use crate::metal::Metal;

mod chain;
mod churn;
mod comb;
mod flush;
mod idle_after_burst;
mod memhog;
mod owner;
mod page_fault1;
mod run;
mod timed;

pub use owner::Owner;

use timed::Timed;

/// Runs the load that was chosen.
pub fn run<M: Metal, const REPORTS: bool>(owner: &mut Owner<'_, M, REPORTS>, metal: &mut M) {
    match owner.info.load {
        Load::PageFault1 => {
            let mut load = page_fault1::PageFault1::new(owner);
            timed(owner, metal, &mut load);
        }
        Load::Churn => {
            let mut load = churn::Churn::new(owner);
            timed(owner, metal, &mut load);
        }
        Load::Memhog => memhog::run(owner, metal),
        Load::IdleAfterBurst => idle_after_burst::run(owner, metal),
        Load::Comb => comb::run(owner, metal),
        Load::Flush => flush::run(owner, metal),
    }
}

/// Warms up, and then measures for a window.
fn timed<M: Metal, const REPORTS: bool>(
    owner: &mut Owner<'_, M, REPORTS>,
    metal: &mut M,
    load: &mut impl Timed<M, REPORTS>,
) {
    let info = owner.info;
    owner.core.switch_on();
    steps(owner, metal, load, info.warmup);
    owner.begin(metal);
    steps(owner, metal, load, info.window);
    owner.end(metal);
    load.finish(owner, metal);
}

fn steps<M: Metal, const REPORTS: bool>(
    owner: &mut Owner<'_, M, REPORTS>,
    metal: &mut M,
    load: &mut impl Timed<M, REPORTS>,
    ticks: u64,
) {
    let end = metal.clock().saturating_add(ticks);
    while metal.clock() < end {
        load.step(owner, metal);
        owner.core.between(metal);
    }
}
