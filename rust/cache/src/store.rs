//! The memory-bounded store: finds stored responses, admits new ones, evicts, purges.
//!
//! No I/O and no clock. A hit takes a read lock of quick_cache, no lock of ours; what changes the store goes
//! through one mutex, so that two threads that add variants to one key do not lose one.

use crate::budget::{InflightBudget, Ledger};
use crate::entry::{Draft, Entry, Refusal};
use crate::index::Index;
use crate::key::{self, Key, Url};
use crate::object::Object;
use alongside_policy::caching::Fields;
use alongside_policy::caching::vary::VaryNames;
use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The part of the memory that fills in progress may take, one in so many, and more where one object needs more; the
/// rest is for the store. Also the largest object's part where nothing is said.
const INFLIGHT_PART: u64 = 8;
/// What the fill of an object takes beside its bytes: one part in so many, and so many bytes.
const FILL_PART: u64 = 16;
const FILL_BYTES: u64 = 64 << 10;
/// From this size on quick_cache is split in [`SHARDS`]: its lock is shared by more threads then, and a shard
/// still takes an object of an eighth of all.
const SHARDED_BYTES: u64 = 4 << 30;
const SHARDS: usize = 4;
/// The size of an object that the memory of evicted keys (ghosts) is dimensioned for, bytes.
const OBJECT_BYTES_MEAN: u64 = 2 << 10;
/// The part of a shard that its largest entry may take: what quick_cache keeps for hot ones. Heavier entries
/// it drops without a word.
const HOT_ALLOCATION: f64 = 0.97;
/// How many counters purges are told by; urls that share one refuse each other's fills now and then.
const PURGE_SLOTS: usize = 1024;
/// The capacity is corrected when the tables have grown by one part in so many.
const TABLES_STEP: u64 = 128;

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
    cache: Cache<Key, Arc<Entry>, ByWeight, RandomState, Departures>,
    departures: Departures,
    books: Mutex<Books>,
    ledger: Arc<Ledger>,
    inflight: InflightBudget,
    bytes_max: u64,
    object_bytes_max: u64,
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
        let part = memory_bytes / INFLIGHT_PART;
        let object_bytes_max = object_bytes_max.unwrap_or(part);
        let fill_bytes = (object_bytes_max / FILL_PART).saturating_add(object_bytes_max).saturating_add(FILL_BYTES);
        let inflight_bytes = part.max(fill_bytes).min(memory_bytes / 2);
        let bytes_max = memory_bytes - inflight_bytes;
        // A part of the cache must take the largest object.
        let is_large = memory_bytes >= SHARDED_BYTES && object_bytes_max <= part;
        let items = usize::try_from(bytes_max / OBJECT_BYTES_MEAN).unwrap_or(usize::MAX);
        let mut options = OptionsBuilder::new();
        options
            .shards(if is_large { SHARDS } else { 1 })
            .estimated_items_capacity(items.max(32))
            .weight_capacity(bytes_max)
            .hot_allocation(HOT_ALLOCATION);
        let departures = Departures::default();
        let ledger = Arc::<Ledger>::default();
        Self {
            cache: build(&options, departures.clone()),
            departures,
            books: Mutex::default(),
            inflight: InflightBudget::new(Arc::clone(&ledger), inflight_bytes),
            ledger,
            bytes_max,
            object_bytes_max,
            purges: (0..PURGE_SLOTS).map(|_| AtomicU64::new(0)).collect(),
            purge_hasher: RandomState::new(),
            counts: Counts::default(),
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
        if offer.object.body().length() > self.object_bytes_max {
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
        let draft = Draft::new(key.clone(), before.as_deref(), offer.vary, offer.request, Arc::clone(&object));
        let draft = match draft.and_then(|draft| draft.fit(now_ms, self.weight_max())) {
            Err(Refusal::TooLarge) => return Insert::TooLarge,
            Err(Refusal::TooManyVariants) => return Insert::TooManyVariants,
            Err(Refusal::Superseded) => return Insert::Superseded,
            Ok(draft) => draft,
        };
        if before.is_none() {
            books.index.add(&key);
        }
        let entry = Arc::new(draft.finish(charge));
        self.cache.insert(key, Arc::clone(&entry));
        self.correct_capacity(&mut books);
        let gone = self.settle(&mut books, &entry);
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

    /// Return the budget that fills in progress draw from.
    #[must_use]
    pub fn inflight(&self) -> &InflightBudget {
        &self.inflight
    }

    /// Return the largest body that is stored, bytes.
    #[must_use]
    pub fn object_bytes_max(&self) -> u64 {
        self.object_bytes_max
    }

    /// Return what the stored objects with their keys and tables take, bytes.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.cache.weight() + self.tables_bytes(&self.lock())
    }

    /// Return what they may take, bytes.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
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
        let slot = self.purge_hasher.hash_one(url) % PURGE_SLOTS as u64;
        &self.purges[slot as usize]
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
        let tables_bytes = self.tables_bytes(books);
        if tables_bytes > books.tables_bytes {
            // In steps, a whole one ahead, so that the sum stays within the bound between two corrections.
            let step = self.bytes_max / TABLES_STEP;
            books.tables_bytes = (tables_bytes / step.max(1) + 1) * step;
            self.cache.set_capacity(self.bytes_max.saturating_sub(books.tables_bytes));
        }
    }

    /// Book what quick_cache has let go since the last time, and return it to be freed.
    fn settle(&self, books: &mut Books, newest: &Arc<Entry>) -> Vec<Arc<Entry>> {
        let gone = self.departures.drain();
        // An entry that was replaced by its successor has not been evicted.
        let is_evicted = |entry: &Arc<Entry>| Arc::ptr_eq(entry, newest) || entry.key != newest.key;
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
            .field("bytes_max", &self.bytes_max)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn build(
    options: &OptionsBuilder,
    departures: Departures,
) -> Cache<Key, Arc<Entry>, ByWeight, RandomState, Departures> {
    let Ok(options) = options.build() else {
        unreachable!("both capacities are set");
    };
    // Urls are chosen by strangers, so the hash is keyed and strong.
    Cache::with_options(options, ByWeight, RandomState::new(), departures)
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Key, Arc<Entry>> for ByWeight {
    fn weight(&self, _key: &Key, entry: &Arc<Entry>) -> u64 {
        entry.weight
    }
}

/// What quick_cache lets go, kept until its lock is open again. Only the thread that holds the books adds to it.
#[derive(Clone, Default)]
struct Departures(Arc<Mutex<Vec<Arc<Entry>>>>);

impl Departures {
    fn drain(&self) -> Vec<Arc<Entry>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lifecycle<Key, Arc<Entry>> for Departures {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _key: Key, entry: Arc<Entry>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }
}
