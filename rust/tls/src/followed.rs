//! One thing in files that is followed by its content: what is in force stays until something better is there, pure.

use crate::files::Fault;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a fault must last before it is told: files that belong together are written one after the other.
pub const SETTLED_AFTER: Duration = Duration::from_millis(100);

/// A thing that is followed.
#[derive(Debug)]
pub struct Followed<T> {
    in_force: Option<(u64, Arc<T>)>,
    /// Since when looks find faults that nobody was told of: somebody may be writing.
    doubtful_since: Option<Instant>,
    told: Option<String>,
}

// Not derived: a thing need not have a default.
impl<T> Default for Followed<T> {
    fn default() -> Self {
        Self { in_force: None, doubtful_since: None, told: None }
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
    /// A fault that lasts.
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
        Self { in_force: other.in_force.clone(), ..Self::default() }
    }

    /// Returns what is in force.
    pub fn get(&self) -> Option<&Arc<T>> {
        self.in_force.as_ref().map(|(_, thing)| thing)
    }

    /// Returns the digest of what is in force.
    pub fn digest(&self) -> Option<u64> {
        self.in_force.as_ref().map(|(digest, _)| *digest)
    }

    /// Judges what lies there `now`: its digest, and how it is made where that is a new one.
    pub fn look(&mut self, digest: Result<u64, Fault>, now: Instant, make: impl FnOnce() -> Result<T, Fault>) -> Found {
        let found = digest.and_then(|digest| match &self.in_force {
            Some((before, _)) if *before == digest => Ok(None),
            _ => make().map(|thing| Some((digest, Arc::new(thing)))),
        });
        match found {
            Ok(taken) => {
                self.doubtful_since = None;
                let was_bad = self.told.take().is_some();
                match taken {
                    Some(thing) => self.in_force = Some(thing),
                    None if was_bad => return Found::GoodAgain,
                    None => return Found::Same,
                }
                Found::Taken
            }
            Err(fault) => self.doubt(fault.to_string(), now),
        }
    }

    fn doubt(&mut self, fault: String, now: Instant) -> Found {
        if self.told.as_ref() == Some(&fault) {
            self.doubtful_since = None;
            return Found::Same;
        }
        let since = *self.doubtful_since.get_or_insert(now);
        if now.duration_since(since) < SETTLED_AFTER {
            return Found::Doubtful;
        }
        self.doubtful_since = None;
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

    /// Looks at a moment in milliseconds.
    fn look(followed: &mut Followed<&'static str>, begun: Instant, at_ms: u64, found: Result<u64, Reason>) -> Found {
        followed.look(found.map_err(fault), begun + Duration::from_millis(at_ms), || Ok("new"))
    }

    #[test]
    fn says_each_change_once_and_doubts_what_is_bad_for_a_moment() {
        let (mut followed, begun) = (Followed::new(1, "old"), Instant::now());
        let mut look = |at_ms, found| look(&mut followed, begun, at_ms, found);
        let (empty, absent) = (|| Err(Reason::Empty), || Err(Reason::Absent));
        assert_eq!(look(0, Ok(1)), Found::Same);
        assert_eq!(look(0, empty()), Found::Doubtful);
        assert_eq!(look(50, Ok(2)), Found::Taken);
        assert_eq!(look(150, empty()), Found::Doubtful);
        assert!(matches!(look(250, empty()), Found::Refused(_)));
        assert_eq!(look(350, empty()), Found::Same);
        assert_eq!(look(450, absent()), Found::Doubtful);
        assert!(matches!(look(550, absent()), Found::Refused(_)));
        assert_eq!(look(650, Ok(2)), Found::GoodAgain);
        assert_eq!(look(750, Ok(2)), Found::Same);
    }

    #[test]
    fn many_looks_in_a_moment_are_one_doubt() {
        let (mut followed, begun) = (Followed::new(1, "old"), Instant::now());
        for at_ms in 0..100 {
            assert_eq!(look(&mut followed, begun, at_ms, Err(Reason::Mismatch)), Found::Doubtful);
        }
        assert_eq!(look(&mut followed, begun, 100, Ok(2)), Found::Taken);
        assert_eq!(look(&mut followed, begun, 101, Err(Reason::Mismatch)), Found::Doubtful);
    }

    #[test]
    fn what_cannot_be_made_leaves_what_was() {
        let (mut followed, now) = (Followed::new(1, 1), Instant::now());
        assert_eq!(followed.look(Ok(2), now, || Err(fault(Reason::Mismatch))), Found::Doubtful);
        assert_eq!(followed.get().map(|thing| **thing), Some(1));
        assert_eq!(followed.look(Ok(2), now, || Ok(2)), Found::Taken);
    }
}
