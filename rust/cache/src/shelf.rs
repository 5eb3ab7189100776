//! quick_cache as the store uses it: weighed by bytes, and what it lets go kept until its lock is open.

use crate::entry::Entry;
use crate::key::Key;
use crate::sizes::Sizes;
use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};

/// The size of an object that the memory of evicted keys (ghosts) is dimensioned for, bytes.
const OBJECT_BYTES_MEAN: u64 = 2 << 10;
/// The part of a shard that its largest entry may take: what quick_cache keeps for hot ones. Heavier entries
/// it drops without a word.
pub(crate) const HOT_ALLOCATION: f64 = 0.97;

/// Entries by their keys.
pub(crate) type Shelf = Cache<Key, Arc<Entry>, ByWeight, RandomState, Departures>;

/// Returns an empty one.
pub(crate) fn build(sizes: &Sizes, departures: Departures) -> Shelf {
    let items = usize::try_from(sizes.bytes_max / OBJECT_BYTES_MEAN).unwrap_or(usize::MAX);
    let mut options = OptionsBuilder::new();
    options
        .shards(sizes.shards)
        .estimated_items_capacity(items.max(32))
        .weight_capacity(sizes.bytes_max)
        .hot_allocation(HOT_ALLOCATION);
    let Ok(options) = options.build() else {
        unreachable!("both capacities are set");
    };
    // Urls are chosen by strangers, so the hash is keyed and strong.
    Cache::with_options(options, ByWeight, RandomState::new(), departures)
}

/// Weighs entries.
#[derive(Clone)]
pub(crate) struct ByWeight;

impl Weighter<Key, Arc<Entry>> for ByWeight {
    fn weight(&self, _key: &Key, entry: &Arc<Entry>) -> u64 {
        entry.weight
    }
}

/// What quick_cache lets go, kept until its lock is open again. Only the thread that holds the books adds to it.
#[derive(Clone, Default)]
pub(crate) struct Departures(Arc<Mutex<Vec<Arc<Entry>>>>);

impl Departures {
    /// Takes them out.
    pub fn drain(&self) -> Vec<Arc<Entry>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lifecycle<Key, Arc<Entry>> for Departures {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _key: Key, entry: Arc<Entry>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }
}
