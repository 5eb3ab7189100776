//! How the memory of a cache is divided.

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

/// How a number of bytes is divided.
pub(crate) struct Sizes {
    /// For answers on their way.
    pub inflight_bytes: u64,
    /// For what is stored.
    pub bytes_max: u64,
    /// For one body.
    pub object_bytes_max: u64,
    /// The parts of quick_cache.
    pub shards: usize,
}

impl Sizes {
    pub fn new(memory_bytes: u64, object_bytes_max: Option<u64>) -> Self {
        let part = memory_bytes / INFLIGHT_PART;
        let object_bytes_max = object_bytes_max.unwrap_or(part);
        let fill_bytes = (object_bytes_max / FILL_PART).saturating_add(object_bytes_max).saturating_add(FILL_BYTES);
        let inflight_bytes = part.max(fill_bytes).min(memory_bytes / 2);
        // A part of the cache must take the largest object.
        let is_large = memory_bytes >= SHARDED_BYTES && object_bytes_max <= part;
        let shards = if is_large { SHARDS } else { 1 };
        Self { inflight_bytes, bytes_max: memory_bytes - inflight_bytes, object_bytes_max, shards }
    }
}
