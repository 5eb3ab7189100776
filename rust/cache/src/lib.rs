//! The shared HTTP cache.
