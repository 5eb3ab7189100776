//! What one peer has still to be told to forget: in order, again until it has, and never more than can be remembered.
//!
//! Orders that are too many, or that nobody took for too long, become one order to forget everything. While a peer cannot be told,
//! another one may be asked to tell it as well: a copy of an order is entrusted to it, and the order stays.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How much is remembered, and how often it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Orders that wait for the peer; one more, and they become one to forget everything.
    pub orders_max: usize,
    /// The bytes of all that is not settled; more, and what waits becomes one to forget everything.
    pub bytes_max: usize,
    /// Orders that are on their way at one time, and their bytes; one order may be longer.
    pub batch_max: usize,
    /// Their bytes.
    pub batch_bytes_max: usize,
    /// The pause after a round that failed, in milliseconds; twice as long each time,
    pub pause_ms: u64,
    /// up to this.
    pub pause_ms_max: u64,
    /// How long rounds may fail before what waits becomes one order to forget everything; nothing for no end.
    pub patience_ms: Option<u64>,
}

impl Terms {
    /// Whether a batch of so many takes one more, with which it has so many bytes.
    const fn fits(&self, count: usize, bytes: usize) -> bool {
        count < self.batch_max && (count == 0 || bytes <= self.batch_bytes_max)
    }
}

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// What a text says.
    One(Arc<[u8]>),
    /// Everything.
    Everything,
}

impl What {
    fn bytes(&self) -> usize {
        match self {
            Self::One(text) => text.len(),
            Self::Everything => 0,
        }
    }
}

/// Who waits until an order is done.
pub trait Waiter {
    /// Whether it waits no longer.
    fn is_gone(&self) -> bool;
}

/// For lists that nobody waits for.
impl Waiter for std::convert::Infallible {
    fn is_gone(&self) -> bool {
        match *self {}
    }
}

/// An order of a batch, or of what is to be entrusted to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    place: u64,
    version: u32,
    /// What it says.
    pub what: What,
}

/// What came of telling a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Something was settled.
    Went,
    /// Nobody was asked, through no fault of the peer: it is tried again at once.
    Stale,
    /// It answered that it cannot now: it ends, and whoever succeeds it can in a moment.
    Later,
    /// Nothing was settled.
    Failed,
}

/// What to do after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// How long to wait before the next one.
    pub pause_ms: u64,
    /// What waits became one order to forget everything.
    pub is_everything: bool,
}

/// What one peer has still to be told.
#[derive(Debug)]
pub struct Owed<W> {
    terms: Terms,
    /// By the order in which they are told.
    orders: BTreeMap<u64, Order<W>>,
    /// Where an order waits that is not on its way.
    places: HashMap<What, u64>,
    /// Orders that nobody else was asked to tell.
    unminded: BTreeSet<u64>,
    /// What the texts of all orders take.
    bytes: usize,
    next_place: u64,
    is_told: bool,
    failing_since_ms: Option<u64>,
    pause_ms: u64,
}

#[derive(Debug)]
struct Order<W> {
    what: What,
    /// Dropped when it is done.
    waits: Vec<W>,
    is_sent: bool,
    /// Grows with each that joins: what was entrusted to somebody before does not speak of what came after.
    version: u32,
}

impl<W: Waiter> Order<W> {
    fn join(&mut self, more: impl IntoIterator<Item = W>) {
        if self.waits.len() == self.waits.capacity() {
            self.waits.retain(|wait| !wait.is_gone());
        }
        self.waits.extend(more);
        self.version = self.version.wrapping_add(1);
    }
}

impl<W: Waiter> Owed<W> {
    /// Returns an empty list.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            orders: BTreeMap::new(),
            places: HashMap::new(),
            unminded: BTreeSet::new(),
            bytes: 0,
            next_place: 0,
            is_told: false,
            failing_since_ms: None,
            pause_ms: terms.pause_ms,
        }
    }

    /// Adds an order, or joins it with what says as much and is not on its way; whether all became one order to forget everything.
    pub fn add(&mut self, what: What, wait: Option<W>) -> bool {
        if let Some(place) = self.equal(&what) {
            self.join(place, wait);
            return false;
        }
        let is_too_much = what != What::Everything
            && (self.places.len() >= self.terms.orders_max || self.bytes + what.bytes() > self.terms.bytes_max);
        let what = if is_too_much { What::Everything } else { what };
        self.insert(Order { what, waits: wait.into_iter().collect(), is_sent: false, version: 0 }, false);
        is_too_much
    }

    /// Whether nobody tells the peer yet; whoever asks does, from now until [`Owed::take`] returns nothing.
    pub fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, true)
    }

    /// Returns what is to be told next, and notes that it is on its way.
    pub fn take(&mut self) -> Vec<Ticket> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (&place, order) in &mut self.orders {
            bytes += order.what.bytes();
            if !self.terms.fits(batch.len(), bytes) {
                break;
            }
            order.is_sent = true;
            self.places.remove(&order.what);
            batch.push(Ticket { place, version: order.version, what: order.what.clone() });
        }
        self.is_told = !batch.is_empty();
        batch
    }

    /// Notes that the peer has forgotten, or never will: nobody waits for it any more.
    pub fn done(&mut self, ticket: &Ticket) {
        self.remove(ticket.place);
        self.unminded.remove(&ticket.place);
    }

    /// Notes that the peer cannot do it now. It stands behind all others from here.
    pub fn again(&mut self, ticket: &Ticket) {
        let Some(order) = self.remove(ticket.place) else { return };
        let is_minded = !self.unminded.remove(&ticket.place);
        self.insert(Order { is_sent: false, ..order }, is_minded);
    }

    /// Ends a round: what was on its way and not settled is told again.
    pub fn end_round(&mut self, round: Round, now_ms: u64) -> Next {
        let sent: Vec<u64> =
            self.orders.iter().take_while(|(_, order)| order.is_sent).map(|(&place, _)| place).collect();
        for &place in &sent {
            self.put_back(place);
        }
        if let Some(&place) = self.places.get(&What::Everything) {
            self.absorb(place);
        }
        match round {
            Round::Went => (self.failing_since_ms, self.pause_ms) = (None, self.terms.pause_ms),
            Round::Stale => {}
            Round::Later | Round::Failed => return self.failed(now_ms),
        }
        Next { pause_ms: 0, is_everything: false }
    }

    /// How long rounds have failed, one after the other; 0 where the last one did not, milliseconds.
    #[must_use]
    pub fn failing_ms(&self, now_ms: u64) -> u64 {
        self.failing_since_ms.map_or(0, |since_ms| now_ms.saturating_sub(since_ms))
    }

    /// Orders that are not settled.
    #[must_use]
    pub fn open(&self) -> usize {
        self.orders.len()
    }

    /// What the texts of these orders take.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops all that is not on its way; returns how much was open.
    pub fn drop_all(&mut self) -> usize {
        let open = self.orders.len();
        self.orders.retain(|_, order| order.is_sent);
        self.bytes = self.orders.values().map(|order| order.what.bytes()).sum();
        self.unminded.retain(|place| self.orders.contains_key(place));
        self.places = HashMap::new();
        open
    }

    /// Returns orders that nobody else was asked to tell, the oldest first, as many as a batch may hold.
    #[must_use]
    pub fn unminded(&self) -> Vec<Ticket> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (&place, order) in self.unminded.iter().filter_map(|place| self.orders.get_key_value(place)) {
            bytes += order.what.bytes();
            if !self.terms.fits(batch.len(), bytes) {
                break;
            }
            batch.push(Ticket { place, version: order.version, what: order.what.clone() });
        }
        batch
    }

    /// How many nobody else was asked to tell.
    #[must_use]
    pub fn unminded_count(&self) -> usize {
        self.unminded.len()
    }

    /// Notes that somebody else tells it too: nobody waits for it any more. Whether it is open still, and nothing joined it since.
    pub fn minded(&mut self, ticket: &Ticket) -> bool {
        let Some(order) = self.orders.get_mut(&ticket.place).filter(|order| order.version == ticket.version) else {
            return false;
        };
        order.waits = Vec::new();
        self.unminded.remove(&ticket.place);
        true
    }

    /// Notes that whoever was to tell it too may have lost that.
    pub fn unmind(&mut self) {
        self.unminded.extend(self.orders.keys());
    }

    fn remove(&mut self, place: u64) -> Option<Order<W>> {
        let order = self.orders.remove(&place)?;
        self.bytes -= order.what.bytes();
        Some(order)
    }

    /// Returns where an order waits that says as much.
    fn equal(&self, what: &What) -> Option<u64> {
        self.places.get(what).or_else(|| self.places.get(&What::Everything)).copied()
    }

    /// Puts an order at the end, or into what says as much.
    fn insert(&mut self, order: Order<W>, is_minded: bool) {
        if let Some(place) = self.equal(&order.what) {
            return self.join(place, order.waits);
        }
        let place = self.next_place;
        self.next_place += 1;
        self.places.insert(order.what.clone(), place);
        if !is_minded {
            self.unminded.insert(place);
        }
        let is_everything = order.what == What::Everything;
        self.bytes += order.what.bytes();
        self.orders.insert(place, order);
        if is_everything {
            self.absorb(place);
        }
    }

    /// Lets an order that was on its way wait again, before all others; what says as much and came meanwhile becomes part of it.
    fn put_back(&mut self, place: u64) {
        let Some(order) = self.orders.get_mut(&place) else { return };
        order.is_sent = false;
        let Some(later) = self.places.insert(order.what.clone(), place) else { return };
        let more = self.remove(later).map(|later| later.waits).unwrap_or_default();
        self.unminded.remove(&later);
        self.join(place, more);
    }

    /// Makes all that waits part of one order.
    fn absorb(&mut self, whole: u64) {
        let is_part = |(&place, order): (&u64, &Order<W>)| (place != whole && !order.is_sent).then_some(place);
        let parts: Vec<u64> = self.orders.iter().filter_map(is_part).collect();
        for place in parts {
            self.unminded.remove(&place);
            if let Some(part) = self.remove(place) {
                self.places.remove(&part.what);
                self.join(whole, part.waits.into_iter().filter(|wait| !wait.is_gone()));
            }
        }
    }

    /// Makes an order speak of something newer too.
    fn join(&mut self, place: u64, more: impl IntoIterator<Item = W>) {
        if let Some(order) = self.orders.get_mut(&place) {
            order.join(more);
            self.unminded.insert(place);
        }
    }

    fn failed(&mut self, now_ms: u64) -> Next {
        let since_ms = *self.failing_since_ms.get_or_insert(now_ms);
        let is_over = self.terms.patience_ms.is_some_and(|patience_ms| now_ms.saturating_sub(since_ms) >= patience_ms);
        let is_everything = is_over && !self.orders.is_empty() && !self.places.contains_key(&What::Everything);
        if is_everything {
            self.insert(Order { what: What::Everything, waits: Vec::new(), is_sent: false, version: 0 }, false);
        }
        let pause_ms = self.pause_ms;
        self.pause_ms = pause_ms.saturating_mul(2).min(self.terms.pause_ms_max);
        Next { pause_ms, is_everything }
    }
}

#[cfg(test)]
mod tests;
