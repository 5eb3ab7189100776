//! What is stored under one key: the variants of one response that differ by request fields.

use crate::budget::Charge;
use crate::key::Key;
use crate::object::{Object, allocation_bytes, arc_bytes};
use alongside_policy::caching::Fields;
use alongside_policy::caching::vary::{self, VaryNames};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The most variants of one key; more are not stored while these are fresh.
pub const VARIANTS_MAX: usize = 64;

/// What the purge index takes for a key, bytes: its slot in a set of keys, doubled for the set's growth.
const INDEX_BYTES: usize = 40;

/// The time over which hits are averaged at least, milliseconds: a new entry is no hotter than what it shows in it.
const HEAT_MS: u64 = 60_000;

/// One key's variants; never changed but for its hits.
#[derive(Debug)]
pub(crate) struct Entry {
    pub key: Key,
    vary: VaryNames,
    variants: Box<[Variant]>,
    fame: Fame,
    /// Everything that would be free without it, bytes.
    pub weight: u64,
    _charge: Charge,
}

#[derive(Clone, Debug)]
struct Variant {
    values: Box<[u8]>,
    object: Arc<Object>,
}

/// An entry could not take another variant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooLarge,
    TooManyVariants,
    /// What is stored came later.
    Superseded,
}

/// How often an entry was asked for, and since when.
#[derive(Debug)]
struct Fame {
    hits: AtomicU64,
    since_ms: u64,
}

impl Fame {
    /// Return the hits in a minute, on the mean since the beginning: what is asked for no more fades by itself.
    fn heat(&self, now_ms: u64) -> u64 {
        let over_ms = now_ms.saturating_sub(self.since_ms).saturating_add(HEAT_MS);
        let heat = u128::from(self.hits.load(Relaxed)) * u128::from(HEAT_MS) / u128::from(over_ms);
        u64::try_from(heat).unwrap_or(u64::MAX)
    }
}

impl Entry {
    /// Return the variant for a request. `scratch` is room for its secondary key.
    pub(crate) fn find(&self, request: Fields<'_>, scratch: &mut Vec<u8>) -> Option<Arc<Object>> {
        scratch.clear();
        vary::key(&self.vary, request, scratch);
        let found = self.variants.iter().find(|variant| *variant.values == **scratch)?;
        self.fame.hits.fetch_add(1, Relaxed);
        Some(Arc::clone(&found.object))
    }

    /// Return how hot it is: hits in a minute.
    pub(crate) fn heat(&self, now_ms: u64) -> u64 {
        self.fame.heat(now_ms)
    }

    /// Return its variants, the oldest first: the secondary key and the response.
    pub(crate) fn variants(&self) -> impl Iterator<Item = (&[u8], &Arc<Object>)> {
        self.variants.iter().map(|variant| (&*variant.values, &variant.object))
    }

    /// Return the names of the fields that choose among its variants.
    pub(crate) fn vary(&self) -> &VaryNames {
        &self.vary
    }

    /// Return how many variants it has.
    pub(crate) fn len(&self) -> usize {
        self.variants.len()
    }
}

/// An entry in the making.
pub(crate) struct Draft {
    key: Key,
    vary: VaryNames,
    variants: Vec<Variant>,
    heat: u64,
}

impl Draft {
    /// Start from what is stored and add a variant, which replaces the one with the same values.
    ///
    /// Where the new response varies with other fields than the stored ones, these go: their secondary keys say
    /// nothing about it. What came later than the new response is not replaced.
    pub(crate) fn new(
        (key, before): (Key, Option<&Entry>),
        vary: VaryNames,
        request: Fields<'_>,
        object: Arc<Object>,
        now_ms: u64,
    ) -> Result<Self, Refusal> {
        let mut values = Vec::new();
        vary::key(&vary, request, &mut values);
        let all = before.map_or(&[][..], |before| &before.variants);
        let kept = if before.is_some_and(|before| before.vary == vary) { all } else { &[] };
        // Where the names differ, all that is stored would go.
        let is_replaced = |variant: &&Variant| kept.is_empty() || *variant.values == *values;
        let arrived_ms = object.meta().arrived_ms;
        if all.iter().filter(is_replaced).any(|variant| variant.object.meta().arrived_ms > arrived_ms) {
            return Err(Refusal::Superseded);
        }
        // The newest stands last.
        let mut variants: Vec<Variant> = kept.iter().filter(|variant| *variant.values != *values).cloned().collect();
        variants.push(Variant { values: values.into_boxed_slice(), object });
        let heat = before.map_or(0, |before| before.heat(now_ms));
        Ok(Self { key, vary, variants, heat })
    }

    /// Make room by the limits: stale variants go where there are too many, the oldest where they are too heavy.
    pub(crate) fn fit(mut self, now_ms: u64, weight_max: u64) -> Result<Self, Refusal> {
        if self.variants.len() > VARIANTS_MAX {
            let newest = self.variants.len() - 1;
            let mut at = 0..;
            self.variants.retain(|variant| at.next() == Some(newest) || variant.object.meta().is_fresh(now_ms));
        }
        if self.variants.len() > VARIANTS_MAX {
            return Err(Refusal::TooManyVariants);
        }
        while self.weight() > weight_max {
            if self.variants.len() == 1 {
                return Err(Refusal::TooLarge);
            }
            self.variants.remove(0);
        }
        Ok(self)
    }

    /// Finish it. It is as hot as what it replaces.
    pub(crate) fn finish(self, now_ms: u64, charge: impl FnOnce(usize) -> Charge) -> Entry {
        let weight = self.weight();
        let own = self.own_bytes();
        Entry {
            key: self.key,
            vary: self.vary,
            variants: self.variants.into_boxed_slice(),
            fame: Fame { hits: AtomicU64::new(self.heat), since_ms: now_ms },
            weight,
            _charge: charge(own),
        }
    }

    fn own_bytes(&self) -> usize {
        let values = |variant: &Variant| allocation_bytes(variant.values.len());
        INDEX_BYTES
            + arc_bytes(self.key.bytes().len())
            + arc_bytes(size_of::<Entry>())
            + allocation_bytes(self.vary.len_bytes())
            + allocation_bytes(self.variants.len() * size_of::<Variant>())
            + self.variants.iter().map(values).sum::<usize>()
    }

    fn weight(&self) -> u64 {
        let objects: usize = self.variants.iter().map(|variant| variant.object.held_bytes()).sum();
        (self.own_bytes() + objects) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_fame_fades() {
        let heat = |hits, since_ms, now_ms| Fame { hits: AtomicU64::new(hits), since_ms }.heat(now_ms);
        assert_eq!(heat(100, 0, 0), 100);
        assert!(heat(1_000, 0, 3_600_000) < heat(100, 3_540_000, 3_600_000));
        assert_eq!(heat(1_000, 0, 9 * HEAT_MS), 100);
        assert_eq!(heat(u64::MAX, 5, 0), u64::MAX);
        assert_eq!(heat(0, 0, u64::MAX), 0);
    }
}
