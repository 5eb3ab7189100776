//! Listeners, deadlines, pools, buffers, limits.
