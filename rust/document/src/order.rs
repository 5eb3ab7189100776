//! Which of two documents is in force.

use crate::types::Document;

/// What a document is to the one in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// The same (epoch, generation) and the same content: nothing to do.
    Same,
    /// A greater (epoch, generation): to be applied.
    Newer,
    /// A smaller (epoch, generation): to be refused.
    Older,
    /// The same (epoch, generation) with other content: to be refused, for two writers disagree.
    Conflict,
}

/// Compare a document with the one in force, by epoch first.
#[must_use]
pub fn succeeds(old: &Document, new: &Document) -> Succession {
    match (new.epoch, new.generation).cmp(&(old.epoch, old.generation)) {
        std::cmp::Ordering::Greater => Succession::Newer,
        std::cmp::Ordering::Less => Succession::Older,
        std::cmp::Ordering::Equal if old == new => Succession::Same,
        std::cmp::Ordering::Equal => Succession::Conflict,
    }
}
