//! The memory-bounded store: finds stored responses, admits new ones, evicts, purges.
//!
//! No I/O and no clock. A hit takes a read lock of quick_cache, no lock of ours; what changes the store goes
//! through one mutex, so that two threads that add variants to one key do not lose one.

use crate::budget::{InflightBudget, Ledger};
use crate::entry::{Draft, Entry, Refusal};
use crate::index::Index;
use crate::key::{self, Key, Url};
use crate::object::Object;
use crate::shelf::{self, Departures, HOT_ALLOCATION, Shelf};
use crate::sizes::Sizes;
use alongside_policy::caching::Fields;
use alongside_policy::caching::vary::VaryNames;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many counters purges are told by; urls that share one refuse each other's fills now and then.
const PURGE_SLOTS: usize = 1024;
/// The capacity is corrected when the tables have grown by one part in so many.
const TABLES_STEP: u64 = 128;
/// A store shrinks in steps of one part in so many.
const RESIZE_STEPS: u64 = 64;
/// The part of the memory that its tables may take where a store goes on smaller, one in so many.
const TABLES_PART: u64 = 4;

/// What became of an object that was offered.
#[derive(Clone, Debug)]
pub enum Insert {
    /// It is in the store.
    Stored(Arc<Object>),
    /// It is larger than one object may be, or than what the store can take.
    TooLarge,
    /// Its key has [`crate::entry::VARIANTS_MAX`] fresh variants.
    TooManyVariants,
    /// Its url was purged while it was on its way.
    Purged,
    /// What is stored came later.
    Superseded,
}

impl Insert {
    /// Return the word for metrics and `Cache-Status`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stored(_) => "stored",
            Self::TooLarge => "too-large",
            Self::TooManyVariants => "too-many-variants",
            Self::Purged => "purged",
            Self::Superseded => "superseded",
        }
    }
}

/// What the store has for a request. An object found may be stale.
#[derive(Clone, Debug)]
pub enum Found {
    /// The response for these request fields.
    Object(Arc<Object>),
    /// Responses, but for other values of the fields with these names.
    VaryMiss(VaryNames),
    /// Nothing.
    Miss,
}

/// When a fill began, as far as purges are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);

impl Ticket {
    /// Return it as bytes, which differ where a purge lies between two.
    #[must_use]
    pub const fn bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }
}

/// The tickets of all keys at one time.
#[derive(Debug)]
pub struct Tickets(Box<[u64]>);

/// An object on offer.
#[derive(Debug)]
pub struct Offer<'a> {
    /// The key that [`key::write`] made.
    pub key: &'a [u8],
    /// What [`Store::ticket`] gave when the request left for the origin.
    pub ticket: Ticket,
    /// The request's fields, as they were sent to the origin.
    pub request: Fields<'a>,
    /// Which of them the response varies with.
    pub vary: VaryNames,
    /// The response.
    pub object: Object,
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Keys evicted to make room.
    pub evicted: AtomicU64,
    /// Objects refused as too large.
    pub too_large: AtomicU64,
    /// Objects refused because their key has too many variants.
    pub too_many_variants: AtomicU64,
    /// Objects refused because of a purge meanwhile.
    pub purged_in_flight: AtomicU64,
    /// Objects refused because what is stored came later.
    pub superseded: AtomicU64,
}

/// A store of responses within a number of bytes.
pub struct Store {
    cache: Shelf,
    departures: Departures,
    books: Mutex<Books>,
    ledger: Arc<Ledger>,
    inflight: InflightBudget,
    bytes_max: AtomicU64,
    object_bytes_max: AtomicU64,
    purges: Box<[AtomicU64]>,
    purge_hasher: RandomState,
    counts: Counts,
}

/// What only those who change the store touch.
#[derive(Default)]
struct Books {
    index: Index,
    /// The bytes of tables that the capacity was last corrected for.
    tables_bytes: u64,
}

impl Store {
    /// Make an empty store.
    ///
    /// Args: `memory_bytes` bounds stored objects, keys, tables and fills in progress together;
    /// `object_bytes_max` bounds one body, an eighth of the memory if `None`; up to a quarter of the memory such a
    /// body can be stored.
    #[must_use]
    pub fn new(memory_bytes: u64, object_bytes_max: Option<u64>) -> Self {
        let sizes = Sizes::new(memory_bytes, object_bytes_max);
        let departures = Departures::default();
        let ledger = Arc::<Ledger>::default();
        Self {
            cache: shelf::build(&sizes, departures.clone()),
            departures,
            books: Mutex::default(),
            inflight: InflightBudget::new(Arc::clone(&ledger), sizes.inflight_bytes),
            ledger,
            bytes_max: AtomicU64::new(sizes.bytes_max),
            object_bytes_max: AtomicU64::new(sizes.object_bytes_max),
            purges: (0..PURGE_SLOTS).map(|_| AtomicU64::new(0)).collect(),
            purge_hasher: RandomState::new(),
            counts: Counts::default(),
        }
    }

    /// Whether [`Store::resize`] can give it this size. What it cannot do is split quick_cache anew, and shrink its tables:
    /// where these alone would take a good part of the memory, an empty store is worth more.
    #[must_use]
    pub fn can_resize(&self, memory_bytes: u64, object_bytes_max: Option<u64>) -> bool {
        let sizes = Sizes::new(memory_bytes, object_bytes_max);
        sizes.shards == self.cache.num_shards() && self.tables_bytes(&self.lock()) <= sizes.bytes_max / TABLES_PART
    }

    /// Give it another size and keep what it holds, as much as fits.
    ///
    /// In steps, so that nobody waits for long; the bound holds when it returns.
    pub fn resize(&self, memory_bytes: u64, object_bytes_max: Option<u64>) {
        let sizes = Sizes::new(memory_bytes, object_bytes_max);
        self.object_bytes_max.store(sizes.object_bytes_max, Relaxed);
        self.inflight.resize(sizes.inflight_bytes);
        let step = (self.bytes_max() / RESIZE_STEPS).max(1);
        while self.bytes_max() != sizes.bytes_max {
            let mut books = self.lock();
            let next = self.bytes_max().saturating_sub(step).max(sizes.bytes_max);
            self.bytes_max.store(next, Relaxed);
            self.set_capacity(&mut books);
            let gone = self.settle(&mut books, None);
            drop(books);
            drop(gone);
        }
    }

    /// Return what is stored for a request; `scratch` is room for its secondary key.
    #[must_use]
    pub fn find(&self, key: &[u8], request: Fields<'_>, scratch: &mut Vec<u8>) -> Found {
        match self.cache.get(key) {
            None => Found::Miss,
            Some(entry) => match entry.find(request, scratch) {
                Some(object) => Found::Object(object),
                None => Found::VaryMiss(entry.vary().clone()),
            },
        }
    }

    /// Return the ticket that a fill of this key needs; take it before the request leaves.
    #[must_use]
    pub fn ticket(&self, key: &[u8]) -> Ticket {
        Ticket(self.purge_slot(key::url(key)).load(Relaxed))
    }

    /// Offer an object. What cannot be stored is counted, and what was stored before stays.
    pub fn insert(&self, offer: Offer<'_>, now_ms: u64) -> Insert {
        let outcome = self.try_insert(offer, now_ms);
        let count = match &outcome {
            Insert::Stored(_) => return outcome,
            Insert::TooLarge => &self.counts.too_large,
            Insert::TooManyVariants => &self.counts.too_many_variants,
            Insert::Purged => &self.counts.purged_in_flight,
            Insert::Superseded => &self.counts.superseded,
        };
        count.fetch_add(1, Relaxed);
        outcome
    }

    fn try_insert(&self, offer: Offer<'_>, now_ms: u64) -> Insert {
        if offer.object.body().length() > self.object_bytes_max() {
            return Insert::TooLarge;
        }
        let charge = |bytes| self.ledger.charge(bytes);
        let object = Arc::new(offer.object.charged(charge));
        let mut books = self.lock();
        // Within the lock, so that a purge either finds the object or is seen here.
        if self.ticket(offer.key).0 != offer.ticket.0 {
            return Insert::Purged;
        }
        let before = self.cache.peek(offer.key);
        let key = before.as_ref().map_or_else(|| Key::new(offer.key), |before| before.key.clone());
        let named = (key.clone(), before.as_deref());
        let draft = Draft::new(named, offer.vary, offer.request, Arc::clone(&object), now_ms);
        let draft = match draft.and_then(|draft| draft.fit(now_ms, self.weight_max())) {
            Err(Refusal::TooLarge) => return Insert::TooLarge,
            Err(Refusal::TooManyVariants) => return Insert::TooManyVariants,
            Err(Refusal::Superseded) => return Insert::Superseded,
            Ok(draft) => draft,
        };
        if before.is_none() {
            books.index.add(&key);
        }
        let entry = Arc::new(draft.finish(now_ms, charge));
        self.cache.insert(key, Arc::clone(&entry));
        self.correct_capacity(&mut books);
        let gone = self.settle(&mut books, Some(&entry));
        drop(books);
        // Freeing megabytes takes its time; nobody waits for it.
        drop(gone);
        Insert::Stored(object)
    }

    /// Forget everything stored for a key; whether there was something.
    pub fn remove(&self, key: &[u8]) -> bool {
        let mut books = self.lock();
        let removed = self.take(&mut books, key);
        drop(books);
        removed.is_some()
    }

    /// Forget everything stored for a url, under all shard keys, and all fills of it that are on their way.
    ///
    /// Returns how many objects were stored.
    pub fn purge(&self, url: &Url<'_>) -> usize {
        let mut text = Vec::new();
        url.write(&mut text);
        self.purge_text(&text)
    }

    /// Like [`Store::purge`], for the url of a key.
    pub fn purge_key(&self, key: &[u8]) -> usize {
        self.purge_text(key::url(key))
    }

    fn purge_text(&self, text: &[u8]) -> usize {
        let mut books = self.lock();
        self.purge_slot(text).fetch_add(1, Relaxed);
        let keys = books.index.of(text);
        let removed: Vec<Arc<Entry>> = keys.iter().filter_map(|key| self.take(&mut books, key.bytes())).collect();
        drop(books);
        removed.iter().map(|entry| entry.len()).sum()
    }

    /// Forget everything, and all fills that are on their way.
    ///
    /// Returns how many keys were stored.
    pub fn forget_all(&self) -> usize {
        let mut books = self.lock();
        for slot in &self.purges {
            slot.fetch_add(1, Relaxed);
        }
        let count = self.cache.len();
        books.index.clear();
        self.cache.clear();
        let gone = self.departures.drain();
        self.ledger.set_stored(self.cache.weight());
        drop(books);
        drop(gone);
        count
    }

    /// Return what [`Store::ticket`] gives now for every key.
    #[must_use]
    pub fn tickets(&self) -> Tickets {
        Tickets(self.purges.iter().map(|slot| slot.load(Relaxed)).collect())
    }

    /// Return the ticket of a key among those that were taken earlier.
    #[must_use]
    pub fn ticket_of(&self, tickets: &Tickets, key: &[u8]) -> Ticket {
        Ticket(tickets.0[self.purge_place(key::url(key))])
    }

    /// Return the keys that are stored, the hottest first, and the weight of all, bytes. O(n log n); holds no lock for long.
    pub(crate) fn hottest(&self, now_ms: u64) -> (Vec<Key>, u64) {
        let mut bytes = 0;
        let mut keys: Vec<(u64, Key)> = Vec::with_capacity(self.len());
        for (key, entry) in self.cache.iter() {
            bytes += entry.weight;
            keys.push((entry.heat(now_ms), key));
        }
        keys.sort_unstable_by_key(|(heat, _)| std::cmp::Reverse(*heat));
        (keys.into_iter().map(|(_, key)| key).collect(), bytes)
    }

    /// Return what is stored under a key, all its variants. No hit is counted.
    pub(crate) fn entry(&self, key: &Key) -> Option<Arc<Entry>> {
        self.cache.peek(key)
    }

    /// Return the budget that fills in progress draw from.
    #[must_use]
    pub fn inflight(&self) -> &InflightBudget {
        &self.inflight
    }

    /// Return the largest body that is stored, bytes.
    #[must_use]
    pub fn object_bytes_max(&self) -> u64 {
        self.object_bytes_max.load(Relaxed)
    }

    /// Return what the stored objects with their keys and tables take, bytes.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.cache.weight() + self.tables_bytes(&self.lock())
    }

    /// Return what they may take, bytes.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Relaxed)
    }

    /// Return how many keys are stored; each may have variants.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Return what has happened since the start.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        // A panic while it was held ended that connection; the books are whole after each step.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, books: &mut Books, key: &[u8]) -> Option<Arc<Entry>> {
        let (key, entry) = self.cache.remove(key)?;
        books.index.remove(&key);
        self.ledger.set_stored(self.cache.weight());
        Some(entry)
    }

    fn purge_slot(&self, url: &[u8]) -> &AtomicU64 {
        &self.purges[self.purge_place(url)]
    }

    fn purge_place(&self, url: &[u8]) -> usize {
        (self.purge_hasher.hash_one(url) % PURGE_SLOTS as u64) as usize
    }

    /// Return the heaviest entry that quick_cache takes.
    fn weight_max(&self) -> u64 {
        // Its own computation, less one for the rounding.
        ((self.cache.shard_capacity() as f64 * HOT_ALLOCATION) as u64).saturating_sub(1)
    }

    fn tables_bytes(&self, books: &Books) -> u64 {
        (self.cache.memory_used().total() + books.index.held_bytes()) as u64
    }

    /// Take what the tables have grown by from the capacity; they never shrink, so this is rare.
    fn correct_capacity(&self, books: &mut Books) {
        if self.tables_bytes(books) > books.tables_bytes {
            self.set_capacity(books);
        }
    }

    fn set_capacity(&self, books: &mut Books) {
        // In steps, a whole one ahead, so that the sum stays within the bound between two corrections.
        let step = (self.bytes_max() / TABLES_STEP).max(1);
        books.tables_bytes = (self.tables_bytes(books) / step + 1) * step;
        self.cache.set_capacity(self.bytes_max().saturating_sub(books.tables_bytes));
    }

    /// Book what quick_cache has let go since the last time, and return it to be freed.
    fn settle(&self, books: &mut Books, newest: Option<&Arc<Entry>>) -> Vec<Arc<Entry>> {
        let gone = self.departures.drain();
        // An entry that was replaced by its successor has not been evicted.
        let is_evicted =
            |entry: &Arc<Entry>| newest.is_none_or(|newest| Arc::ptr_eq(entry, newest) || entry.key != newest.key);
        for entry in gone.iter().filter(|entry| is_evicted(entry)) {
            books.index.remove(&entry.key);
            self.counts.evicted.fetch_add(1, Relaxed);
        }
        self.ledger.set_stored(self.cache.weight());
        gone
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Store")
            .field("bytes_max", &self.bytes_max())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
