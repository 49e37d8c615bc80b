//! The free lists: circular through their heads, in both directions.

use abi::addr::{Gpa, Order};
use abi::violation::Violation;

use super::link::{HEAD, Link};
use super::page::{NEXT, PREV, State};
use super::zone::Locked;
use super::{Block, MigrateType, Page, layout};
use crate::metal::{Metal, count};

impl<M: Metal, const REPORTS: bool> Locked<'_, M, REPORTS> {
    /// The head of a list.
    #[inline]
    pub fn head(&self, order: Order, migrate_type: MigrateType) -> Link {
        layout::head(order, migrate_type)
    }

    /// What comes after; after the last, the head. A damaged list ends where it is damaged, at a link that is no
    /// page.
    #[inline]
    pub fn next(&self, link: Link) -> Link {
        self.follow(self.at(link).offset(NEXT))
    }

    /// What comes before.
    #[inline]
    pub fn prev(&self, link: Link) -> Link {
        self.follow(self.at(link).offset(PREV))
    }

    /// The page of a link, unless it is a head.
    #[inline]
    pub fn page(&self, link: Link) -> Option<Page> {
        if link.0 & HEAD == 0 { Some(Page::new(link.0)) } else { None }
    }

    /// The link of a page.
    #[inline]
    pub fn link(&self, page: Page) -> Link {
        Link::page(page)
    }

    /// The first reported block of a list, behind which all are; the head if none is known.
    #[inline]
    pub fn boundary(&self, order: Order, migrate_type: MigrateType) -> Link {
        if self.boundaries() {
            self.follow(self.zone.layout.boundary(order, migrate_type))
        } else {
            layout::head(order, migrate_type)
        }
    }

    /// Moves the boundary of a list; to the head: none is known.
    #[inline]
    pub fn set_boundary(&mut self, order: Order, migrate_type: MigrateType, link: Link) {
        if self.boundaries() {
            self.metal.store32(self.zone.layout.boundary(order, migrate_type), link.0);
        }
    }

    /// Makes `page`, a block of the list, its first: those before it go behind its tail (`list_rotate_to_front`).
    pub fn rotate_to_front(&mut self, order: Order, migrate_type: MigrateType, page: Page) {
        let (head, link) = (self.head(order, migrate_type), self.link(page));
        if !self.state(page).is(State::free(order, migrate_type)) {
            return self.wrong(Violation::Accounts, page);
        }
        if self.next(head) != link && self.unchain(head) {
            let prev = self.prev(link);
            self.chain(head, prev, link);
        }
    }

    /// What compaction does to a list it has scanned (`move_freelist_head`): walks `steps` blocks, and moves those
    /// behind the tail. Says how many; none, if the list is not longer than that. The boundary stays where it is.
    pub fn cut(&mut self, order: Order, migrate_type: MigrateType, steps: u64) -> u64 {
        let mut link = self.next(self.head(order, migrate_type));
        // No list is longer than this, however damaged.
        let steps = steps.min(self.zone.blocks_at_most());
        for _ in 0..steps {
            if self.page(link).is_none() {
                break;
            }
            link = self.next(link);
        }
        match self.page(link) {
            Some(page) => {
                self.rotate_to_front(order, migrate_type, page);
                steps
            }
            None => 0,
        }
    }

    /// Puts a block on its list, as the first.
    #[inline]
    pub(super) fn insert_head(&mut self, block: Block, migrate_type: MigrateType) {
        let head = self.head(block.order, migrate_type);
        self.insert(block, migrate_type, head, self.next(head));
    }

    /// Puts a block on its list, as the last of those that are not reported.
    #[inline]
    pub(super) fn insert_tail(&mut self, block: Block, migrate_type: MigrateType) {
        let before = self.boundary(block.order, migrate_type);
        self.insert(block, migrate_type, self.prev(before), before);
    }

    #[inline]
    fn insert(&mut self, Block { page, order }: Block, migrate_type: MigrateType, prev: Link, next: Link) {
        self.chain(Link::page(page), prev, next);
        self.set_state(page, State::free(order, migrate_type));
        count(self.metal, self.zone.layout.nr_free(order), 1);
    }

    /// Takes a free block off its list; `false` if the list is damaged there. Its state is the caller's to change,
    /// the mark is not counted any more.
    #[inline]
    pub(super) fn remove(&mut self, Block { page, order }: Block, state: State) -> bool {
        let link = Link::page(page);
        if self.boundaries() && self.boundary(order, state.migrate_type()) == link {
            let next = self.next(link);
            self.set_boundary(order, state.migrate_type(), next);
        }
        if !self.unchain(link) {
            self.wrong(Violation::Accounts, page);
            return false;
        }
        count(self.metal, self.zone.layout.nr_free(order), u64::MAX);
        if self.marks() && state.is_marked() {
            count(self.metal, self.zone.layout.nr_reported(order), u64::MAX);
        }
        true
    }

    pub(super) fn set_links(&mut self, link: Link, prev: Link, next: Link) {
        self.set_next(link, next);
        self.set_prev(link, prev);
    }

    /// Puts an isolated block on the list of what is held, as the last.
    pub(super) fn insert_held(&mut self, page: Page) {
        let head = layout::held();
        let last = self.prev(head);
        self.chain(Link::page(page), last, head);
    }

    /// Takes the first off the list of what is held, if there is one.
    pub(super) fn pop_held(&mut self) -> Option<Page> {
        let link = self.next(layout::held());
        let page = self.page(link)?;
        if self.unchain(link) {
            return Some(page);
        }
        self.wrong(Violation::Accounts, page);
        None
    }

    /// Puts `link` between two neighbours.
    #[inline]
    fn chain(&mut self, link: Link, prev: Link, next: Link) {
        self.set_links(link, prev, next);
        self.set_next(prev, link);
        self.set_prev(next, link);
    }

    /// Takes `link` out from between its neighbours, if they agree that it is there (`__list_del_entry_valid`).
    #[inline]
    fn unchain(&mut self, link: Link) -> bool {
        let (prev, next) = (self.prev(link), self.next(link));
        let agree = self.next(prev) == link && self.prev(next) == link;
        if agree {
            self.set_next(prev, next);
            self.set_prev(next, prev);
        }
        agree
    }

    #[inline]
    fn set_next(&mut self, link: Link, next: Link) {
        self.metal.store32(self.at(link).offset(NEXT), next.0);
    }

    #[inline]
    fn set_prev(&mut self, link: Link, prev: Link) {
        self.metal.store32(self.at(link).offset(PREV), prev.0);
    }

    /// Where the two words of a link are.
    #[inline]
    fn at(&self, link: Link) -> Gpa {
        match self.page(link) {
            Some(page) => page.bytes(self.zone.allocator.pages),
            None => self.zone.layout.0.offset(u64::from(link.0 & !HEAD)),
        }
    }

    /// The link in a word; one to a page or a head that there is not is lost.
    #[inline]
    fn follow(&self, word: Gpa) -> Link {
        let link = Link(self.metal.load32(word));
        let exists = match self.page(link) {
            Some(page) => self.zone.allocator.has(page),
            None => layout::has_head(u64::from(link.0 & !HEAD)),
        };
        if exists { link } else { Link::LOST }
    }
}
