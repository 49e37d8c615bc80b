//! `page_fault1`: takes a footprint, block by block, then gives it back, and again. After the test of that name in
//! will-it-scale, which maps memory, writes to every page and unmaps it.

use abi::engine::info::EngineInfo;

use crate::engine::buddy::MigrateType;
use crate::metal::Metal;

use super::chain::Chain;
use super::owner::Owner;
use super::run::Run;
use super::timed::Timed;

/// The load of one virtual processor.
pub(super) struct PageFault1 {
    held: Chain,
    run: Run,
    /// Blocks it still tries for before it gives them back; none: it is giving.
    wanted: u64,
    blocks: u64,
}

impl PageFault1 {
    /// Nothing taken yet.
    pub(super) fn new<M: Metal, const REPORTS: bool>(owner: &Owner<'_, M, REPORTS>) -> Self {
        let EngineInfo { unit, footprint, .. } = *owner.info;
        let blocks = footprint / unit.pages();
        let held = Chain::new(owner.allocator().map(), unit);
        Self { held, run: Run::of(unit), wanted: blocks, blocks }
    }

    /// Takes the next run of the footprint; `false` when it has all, or has tried.
    pub(super) fn fill<M: Metal, const REPORTS: bool>(
        &mut self,
        owner: &mut Owner<'_, M, REPORTS>,
        metal: &mut M,
    ) -> bool {
        self.run.clear();
        let blocks = self.wanted.min(self.run.room() as u64);
        self.wanted -= blocks;
        let unit = owner.info.unit;
        owner.take(metal, &mut self.run, (0..blocks).map(|_| (unit, MigrateType::Movable)));
        for taken in self.run.iter() {
            self.held.push(metal, taken.block);
        }
        blocks > 0
    }

    /// Gives the next run back; `false` when there is nothing left.
    pub(super) fn empty<M: Metal, const REPORTS: bool>(
        &mut self,
        owner: &mut Owner<'_, M, REPORTS>,
        metal: &mut M,
    ) -> bool {
        self.run.clear();
        while self.run.room() > 0 {
            let Some(block) = self.held.pop(metal) else { break };
            self.run.push_block(block);
        }
        owner.give(metal, &self.run);
        self.run.iter().len() > 0
    }

    /// Begins anew.
    pub(super) const fn again(&mut self) {
        self.wanted = self.blocks;
    }
}

impl<M: Metal, const REPORTS: bool> Timed<M, REPORTS> for PageFault1 {
    fn step(&mut self, owner: &mut Owner<'_, M, REPORTS>, metal: &mut M) {
        if !self.fill(owner, metal) && !self.empty(owner, metal) {
            self.again();
        }
    }

    fn finish(&mut self, owner: &mut Owner<'_, M, REPORTS>, metal: &mut M) {
        while self.empty(owner, metal) {
            owner.core.between(metal);
        }
    }
}
