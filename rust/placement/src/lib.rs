//! Which shard serves a key.
