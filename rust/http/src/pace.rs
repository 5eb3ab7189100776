//! How fast things must move: so much in each window of a wait, or whoever is waited for is too slow.

use alongside_transport::deadline;

/// A window of a wait, and how far things were when it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    moved: u64,
    /// When the window is over, in the thread's coarse time.
    due_ms: u64,
}

impl Pace {
    /// Begins a window.
    pub fn begin(moved: u64, window_ms: u64) -> Self {
        Self { moved, due_ms: deadline::now_ms().saturating_add(window_ms) }
    }

    /// Whether so much moved since the window began that another one may begin.
    pub const fn is_kept(&self, moved: u64, enough: u64) -> bool {
        moved - self.moved >= enough
    }

    /// What is left of the window; nothing where it is over.
    pub fn left_ms(&self) -> Option<u64> {
        self.due_ms.checked_sub(deadline::now_ms()).filter(|left_ms| *left_ms > 0)
    }
}
