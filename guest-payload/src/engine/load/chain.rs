//! The blocks of an owner who has more than fit in any table: the first word of each has one more than the number of
//! the next one's first page.

use abi::addr::Order;
use abi::engine::map::Map;

use crate::engine::buddy::{Block, Page};
use crate::metal::Metal;

/// Blocks of one order, first in, first out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    map: Map,
    order: Order,
    first: Page,
    last: Page,
    length: u64,
}

impl Chain {
    /// No blocks of `order`.
    pub(super) const fn new(map: Map, order: Order) -> Self {
        Self { map, order, first: Page::new(0), last: Page::new(0), length: 0 }
    }

    /// Adds a block as the last.
    pub(super) fn push(&mut self, metal: &mut impl Metal, block: Block) {
        if self.length == 0 {
            self.first = block.page;
        } else {
            metal.store(self.word(self.last), u64::from(block.page.get()) + 1);
        }
        self.last = block.page;
        self.length += 1;
    }

    /// Takes the first block out. A word that names no block was lost with its page, which the witness finds: what
    /// hung on it is lost too.
    pub(super) fn pop(&mut self, metal: &impl Metal) -> Option<Block> {
        self.length = self.length.checked_sub(1)?;
        let page = self.first;
        if self.length > 0 {
            let next = metal.load(self.word(page));
            let next = next.checked_sub(1).filter(|next| *next < self.map.managed());
            match next.and_then(|next| u32::try_from(next).ok()) {
                Some(next) => self.first = Page::new(next),
                None => self.length = 0,
            }
        }
        Some(Block { page, order: self.order })
    }

    fn word(&self, page: Page) -> abi::addr::Gpa {
        self.map.block(page.get().into(), self.order).gpa()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{MAP, machine};

    fn block(page: u32) -> Block {
        Block { page: Page::new(page), order: Order::PAGE }
    }

    #[test]
    fn first_in_first_out() {
        let (mut metal, _) = machine();
        let mut chain = Chain::new(MAP, Order::PAGE);
        for _ in 0..2 {
            for page in [7, 0, 9] {
                chain.push(&mut metal, block(page));
            }
            assert_eq!(chain.pop(&metal), Some(block(7)));
            chain.push(&mut metal, block(3));
            for page in [0, 9, 3] {
                assert_eq!(chain.pop(&metal), Some(block(page)));
            }
            assert_eq!(chain.pop(&metal), None);
        }
    }

    #[test]
    fn a_chain_ends_where_it_is_broken() {
        let (mut metal, _) = machine();
        let mut chain = Chain::new(MAP, Order::PAGE);
        for word in [0, MAP.managed() + 1, u64::MAX] {
            (1..=3).for_each(|page| chain.push(&mut metal, block(page)));
            let broken = chain.word(Page::new(2));
            metal.store(broken, word);
            assert_eq!([chain.pop(&metal), chain.pop(&metal)], [Some(block(1)), Some(block(2))]);
            assert_eq!(chain.pop(&metal), None);
        }
    }
}
