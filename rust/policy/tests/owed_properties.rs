//! Whatever happens on the way, a peer is told of every change after it was made, or the list still knows; and it stays small.

use alongside_policy::owed::{Owed, Round, Terms, Ticket, What};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

const TERMS: Terms = Terms {
    orders_max: 3,
    bytes_max: 4,
    batch_max: 2,
    batch_bytes_max: 100,
    pause_ms: 10,
    pause_ms_max: 40,
    patience_ms: Some(100),
};

#[derive(Debug, Clone)]
enum Event {
    /// A page changes.
    Change(u8),
    /// A batch is told; the peer takes so many, cannot do one of them, and the rest breaks off.
    Tell { taken: usize, refuses_one: bool },
    /// What changes while a batch is on its way.
    TellAround { change: u8, taken: usize },
    /// Copies go to somebody else, who tells the peer; something may change meanwhile.
    Entrust { change: Option<u8> },
    /// Who was asked is gone.
    Lose,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let page = 0..8_u8;
    let event = prop_oneof![
        4 => page.clone().prop_map(Event::Change),
        3 => (0..4_usize, any::<bool>()).prop_map(|(taken, refuses_one)| Event::Tell { taken, refuses_one }),
        2 => (page.clone(), 0..3_usize).prop_map(|(change, taken)| Event::TellAround { change, taken }),
        2 => prop::option::of(page).prop_map(|change| Event::Entrust { change }),
        1 => Just(Event::Lose),
    ];
    prop::collection::vec(event, 0..60)
}

/// A peer, what changed and what it knows of it, by a count of what happened.
struct World {
    owed: Owed<Infallible>,
    count: u64,
    changed: BTreeMap<u8, u64>,
    /// When the peer itself was told of a page.
    told: BTreeMap<u8, u64>,
    /// When somebody else took it over to tell it.
    minded: BTreeMap<u8, u64>,
}

fn text(page: u8) -> What {
    What::One(Arc::from([page]))
}

fn note(what: &What, when: u64, known: &mut BTreeMap<u8, u64>) {
    match what {
        What::One(page) => _ = known.insert(page[0], when),
        What::Everything => (0..8).for_each(|page| _ = known.insert(page, when)),
    }
}

impl World {
    fn change(&mut self, page: u8) {
        self.count += 1;
        self.changed.insert(page, self.count);
        self.owed.add(text(page), None);
    }

    fn tell(&mut self, taken: usize, refuses_one: bool, change: Option<u8>) {
        let batch = self.owed.take();
        assert!(batch.len() <= TERMS.batch_max);
        self.count += 1;
        let when = self.count;
        change.into_iter().for_each(|page| self.change(page));
        let mut rest = batch.iter().take(taken);
        if refuses_one && let Some(ticket) = rest.next() {
            self.owed.again(ticket);
        }
        let mut round = Round::Failed;
        for ticket in rest {
            note(&ticket.what, when, &mut self.told);
            self.owed.done(ticket);
            round = Round::Went;
        }
        assert!(self.owed.end_round(round, self.count * 10).pause_ms <= TERMS.pause_ms_max);
    }

    fn entrust(&mut self, change: Option<u8>) {
        let copies: Vec<Ticket> = self.owed.unminded();
        self.count += 1;
        let when = self.count;
        change.into_iter().for_each(|page| self.change(page));
        for copy in copies {
            if self.owed.minded(&copy) {
                note(&copy.what, when, &mut self.minded);
            }
        }
    }

    /// Every change is told, or is among `open`.
    fn check(&self, known: &BTreeMap<u8, u64>, open: &[What]) -> Result<(), TestCaseError> {
        for (page, changed) in &self.changed {
            let is_told = self.told.get(page).max(known.get(page)).is_some_and(|told| told > changed);
            let is_open = open.contains(&What::Everything) || open.contains(&text(*page));
            prop_assert!(is_told || is_open, "page {page}, changed {changed}");
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_change_is_lost_and_the_list_stays_small(events in events()) {
        let none = BTreeMap::new();
        let (changed, told, minded) = (none.clone(), none.clone(), none);
        let mut world = World { owed: Owed::new(TERMS), count: 0, changed, told, minded };
        for event in events {
            match event {
                Event::Change(page) => world.change(page),
                Event::Tell { taken, refuses_one } => world.tell(taken, refuses_one, None),
                Event::TellAround { change, taken } => world.tell(taken, false, Some(change)),
                Event::Entrust { change } => world.entrust(change),
                Event::Lose => {
                    world.minded.clear();
                    world.owed.unmind();
                }
            }
            prop_assert!(world.owed.open() <= TERMS.orders_max + TERMS.batch_max);
            prop_assert!(world.owed.bytes() <= TERMS.bytes_max);
        }
        // Who was asked knows of all that nobody else has to be asked for any more.
        let mut copies = Vec::new();
        loop {
            let some = world.owed.unminded();
            if some.is_empty() {
                break;
            }
            for copy in some {
                prop_assert!(world.owed.minded(&copy));
                copies.push(copy.what);
            }
        }
        world.check(&world.minded, &copies)?;
        // And the peer hears of everything when it can be told.
        while world.owed.open() > 0 {
            world.tell(TERMS.batch_max, false, None);
        }
        world.check(&BTreeMap::new(), &[])?;
    }
}
