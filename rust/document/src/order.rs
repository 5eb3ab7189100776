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

#[cfg(test)]
mod tests {
    use super::*;

    fn document(epoch: u64, generation: u64, threads: u32) -> Document {
        let text = format!(r#"{{"schema": 1, "epoch": {epoch}, "generation": {generation}, "threads": {threads}}}"#);
        crate::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn documents_are_ordered_by_epoch_then_generation_then_content() {
        let old = document(2, 5, 1);
        for (new, succession) in [
            (document(2, 5, 1), Succession::Same),
            (document(2, 5, 2), Succession::Conflict),
            (document(2, 6, 1), Succession::Newer),
            (document(3, 0, 1), Succession::Newer),
            (document(2, 4, 1), Succession::Older),
            (document(1, 9, 1), Succession::Older),
        ] {
            assert_eq!(succeeds(&old, &new), succession, "{new:?}");
        }
    }
}
