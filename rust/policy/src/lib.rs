//! What HTTP caching may do.
