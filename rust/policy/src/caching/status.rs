//! The text of `Cache-Status`.

use super::Forward;
use alongside_protocols::write_decimal;

/// How this cache handled a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// The cache's name: a token that begins with a letter.
    pub name: &'a str,
    /// Whether the origin was asked.
    pub outcome: Outcome,
    /// The status the origin gave, where one was asked and it differs from the answer's.
    pub forward_status: Option<u16>,
    /// Freshness left, seconds; negative if stale.
    pub ttl_s: Option<i64>,
    /// The response of this request was stored.
    pub is_stored: bool,
    /// The request waited for that of another client.
    pub is_collapsed: bool,
    /// A word more: [`super::Bypass::as_str`] or [`super::Reject::as_str`].
    pub detail: Option<&'a str>,
}

/// Whether the origin was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No.
    Hit,
    /// Yes, and why.
    Forward(Forward),
}

impl Outcome {
    /// Return the word for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Forward(forward) => forward.as_str(),
        }
    }
}

impl<'a> CacheStatus<'a> {
    /// Start from the outcome alone.
    #[must_use]
    pub fn new(name: &'a str, outcome: Outcome) -> Self {
        Self { name, outcome, forward_status: None, ttl_s: None, is_stored: false, is_collapsed: false, detail: None }
    }

    /// Append the field's value, without its name and line end.
    ///
    //= RFC 9211 section 2: a list member of this cache's name with parameters; the caller puts it behind those
    // of caches nearer to the origin.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name.as_bytes());
        match self.outcome {
            Outcome::Hit => out.extend_from_slice(b"; hit"),
            Outcome::Forward(forward) => {
                out.extend_from_slice(b"; fwd=");
                out.extend_from_slice(forward.as_str().as_bytes());
            }
        }
        if let Some(status) = self.forward_status {
            out.extend_from_slice(b"; fwd-status=");
            write_decimal(u64::from(status), out);
        }
        if let Some(ttl_s) = self.ttl_s {
            out.extend_from_slice(if ttl_s < 0 { b"; ttl=-" } else { b"; ttl=" });
            write_decimal(ttl_s.unsigned_abs(), out);
        }
        if self.is_stored {
            out.extend_from_slice(b"; stored");
        }
        if self.is_collapsed {
            out.extend_from_slice(b"; collapsed");
        }
        if let Some(detail) = self.detail {
            out.extend_from_slice(b"; detail=");
            out.extend_from_slice(detail.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: CacheStatus<'_>, expected: &str) {
        let mut out = Vec::new();
        status.write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn writes_the_words_of_the_standard() {
        let hit = CacheStatus::new("alongside", Outcome::Hit);
        let forward = |why| CacheStatus::new("alongside", Outcome::Forward(why));
        check(hit, "alongside; hit");
        check(CacheStatus { ttl_s: Some(-3), ..hit }, "alongside; hit; ttl=-3");
        check(
            CacheStatus { forward_status: Some(304), ttl_s: Some(60), is_stored: true, ..forward(Forward::Stale) },
            "alongside; fwd=stale; fwd-status=304; ttl=60; stored",
        );
        check(CacheStatus { is_collapsed: true, ..forward(Forward::UriMiss) }, "alongside; fwd=uri-miss; collapsed");
        check(
            CacheStatus { detail: Some("set-cookie"), ..forward(Forward::Bypass) },
            "alongside; fwd=bypass; detail=set-cookie",
        );
    }
}
