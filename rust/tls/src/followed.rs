//! One thing in files that is followed by its content: what is in force stays until something better is there, pure.

use crate::files::Fault;
use std::sync::Arc;

/// How long files may be wrong before anybody is told, in milliseconds: who writes one after the other is quicker.
pub const SETTLED_MS: u64 = 100;

/// A thing that is followed.
#[derive(Debug)]
pub struct Followed<T> {
    in_force: Option<(u64, Arc<T>)>,
    /// Since when, in milliseconds, looks find faults that nobody was told of: somebody may be writing.
    doubtful_since_ms: Option<i64>,
    /// The fault that was told of.
    told: Option<String>,
}

// Not derived: a thing need not have a default.
impl<T> Default for Followed<T> {
    fn default() -> Self {
        Self { in_force: None, doubtful_since_ms: None, told: None }
    }
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that anybody need know.
    Same,
    /// A fault that may be over in a moment.
    Doubtful,
    /// A good one, which is in force now.
    Taken,
    /// A fault, still.
    Refused(String),
    /// What is in force lies there again.
    GoodAgain,
}

impl<T> Followed<T> {
    /// Returns one of which something is in force already.
    pub fn new(digest: u64, thing: T) -> Self {
        Self { in_force: Some((digest, Arc::new(thing))), ..Self::default() }
    }

    /// Returns one that begins with what is in force at another.
    pub fn like(other: &Self) -> Self {
        Self { in_force: other.in_force.clone(), told: other.told.clone(), doubtful_since_ms: None }
    }

    /// Returns what is in force.
    pub fn get(&self) -> Option<&Arc<T>> {
        self.in_force.as_ref().map(|(_, thing)| thing)
    }

    /// Returns the digest of what is in force.
    pub fn digest(&self) -> Option<u64> {
        self.in_force.as_ref().map(|(digest, _)| *digest)
    }

    /// Puts what is left of the thing in force in its place, though its files say the same as before.
    pub fn wear(&mut self, thing: T) {
        if let Some((_, in_force)) = &mut self.in_force {
            *in_force = Arc::new(thing);
        }
    }

    /// Whether the newest files are not good, and somebody was told.
    pub const fn is_stale(&self) -> bool {
        self.told.is_some()
    }

    /// Judges what lies there at a time in milliseconds: its digest, and how it is made where that is a new one.
    pub fn look(&mut self, now_ms: i64, digest: Result<u64, Fault>, make: impl FnOnce() -> Result<T, Fault>) -> Found {
        let found = digest.and_then(|digest| match &self.in_force {
            Some((before, _)) if *before == digest => Ok(None),
            _ => make().map(|thing| Some((digest, Arc::new(thing)))),
        });
        match found {
            Ok(taken) => {
                self.doubtful_since_ms = None;
                let was_bad = self.told.take().is_some();
                match taken {
                    Some(thing) => self.in_force = Some(thing),
                    None if was_bad => return Found::GoodAgain,
                    None => return Found::Same,
                }
                Found::Taken
            }
            Err(fault) => self.doubt(now_ms, fault.to_string()),
        }
    }

    fn doubt(&mut self, now_ms: i64, fault: String) -> Found {
        if self.told.as_ref() == Some(&fault) {
            self.doubtful_since_ms = None;
            return Found::Same;
        }
        let since_ms = *self.doubtful_since_ms.get_or_insert(now_ms);
        if now_ms.abs_diff(since_ms) < SETTLED_MS {
            return Found::Doubtful;
        }
        self.doubtful_since_ms = None;
        self.told = Some(fault.clone());
        Found::Refused(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Part, Reason};

    fn fault(reason: Reason) -> Fault {
        Fault { part: Part::Chain, path: "/tls.crt".into(), reason }
    }

    #[test]
    fn says_each_change_once_and_doubts_what_is_bad_for_a_moment() {
        let mut followed = Followed::new(1, "old");
        let look = |followed: &mut Followed<&'static str>, now_ms, digest: Result<u64, Reason>| {
            followed.look(now_ms, digest.map_err(fault), || Ok("new"))
        };
        let (empty, absent) = (|| Err(Reason::Empty), || Err(Reason::Absent));
        assert_eq!(look(&mut followed, 0, Ok(1)), Found::Same);
        assert_eq!(look(&mut followed, 1_000, empty()), Found::Doubtful);
        assert_eq!(look(&mut followed, 1_099, absent()), Found::Doubtful);
        assert_eq!(look(&mut followed, 1_099, Ok(2)), Found::Taken);
        assert_eq!(look(&mut followed, 1_100, empty()), Found::Doubtful);
        assert_eq!(look(&mut followed, 1_199, empty()), Found::Doubtful);
        assert!(matches!(look(&mut followed, 1_200, empty()), Found::Refused(_)));
        assert!(followed.is_stale() && Followed::like(&followed).is_stale());
        assert_eq!(look(&mut followed, 2_000, empty()), Found::Same);
        assert_eq!(look(&mut followed, 2_000, absent()), Found::Doubtful);
        assert!(matches!(look(&mut followed, 2_100, absent()), Found::Refused(_)));
        assert_eq!(followed.get().map(|thing| **thing), Some("new"));
        assert_eq!(look(&mut followed, 2_200, Ok(2)), Found::GoodAgain);
        assert!(!followed.is_stale());
        assert_eq!(look(&mut followed, 2_300, Ok(2)), Found::Same);
    }

    #[test]
    fn what_cannot_be_made_leaves_what_was() {
        let mut followed = Followed::new(1, 1);
        assert_eq!(followed.look(0, Ok(2), || Err(fault(Reason::Mismatch))), Found::Doubtful);
        assert_eq!(followed.get().map(|thing| **thing), Some(1));
        assert_eq!(followed.look(0, Ok(2), || Ok(2)), Found::Taken);
        assert_eq!(followed.get().map(|thing| **thing), Some(2));
    }
}
