//! Time in milliseconds, for what takes time as a number.

use std::sync::OnceLock;
use std::time::Instant;

/// Milliseconds since this process first asked.
#[must_use]
pub fn now_ms() -> u64 {
    of(Instant::now())
}

/// What [`now_ms`] was at a moment.
#[must_use]
pub fn of(moment: Instant) -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let since = moment.saturating_duration_since(*START.get_or_init(|| moment));
    // 0 is before everything.
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}
