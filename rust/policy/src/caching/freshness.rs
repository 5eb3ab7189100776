//! Whether a stored response is fresh enough for a request.

use super::{Serve, Validators};

/// What a stored response's freshness is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// When its head came, milliseconds since the UNIX epoch.
    pub arrived_ms: u64,
    /// How old it was then.
    pub age_ms: u64,
    /// How long after its making it is fresh.
    pub lifetime_ms: u64,
    /// Its `Date`, seconds since the UNIX epoch, where it has a readable one.
    pub date_s: Option<u64>,
    /// It must be confirmed for each request (`no-cache`).
    pub always_validate: bool,
    /// It may answer requests with credentials, and come from them.
    pub is_shared: bool,
}

impl Meta {
    /// Return the current age, milliseconds.
    ///
    //= RFC 9111 section 4.2.3: current_age is the corrected initial age plus the time it has been here.
    #[must_use]
    pub fn age_now_ms(&self, now_ms: u64) -> u64 {
        self.age_ms.saturating_add(now_ms.saturating_sub(self.arrived_ms))
    }

    /// Return the freshness left, milliseconds, negative once it has gone stale.
    #[must_use]
    pub fn fresh_left_ms(&self, now_ms: u64) -> i64 {
        let (lifetime, age) = (self.lifetime_ms, self.age_now_ms(now_ms));
        let left = i64::try_from(lifetime.abs_diff(age)).unwrap_or(i64::MAX);
        if lifetime >= age { left } else { -left }
    }

    /// Whether it may still be used without asking the origin.
    ///
    //= RFC 9111 section 4.2: fresh while its lifetime exceeds its age.
    #[must_use]
    pub fn is_fresh(&self, now_ms: u64) -> bool {
        !self.always_validate && self.fresh_left_ms(now_ms) > 0
    }
}

/// How a stored response may answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    /// As it is, with `Age: age_s`.
    Fresh {
        /// For the `Age` field, seconds, rounded down.
        age_s: u64,
        /// Seconds of freshness left, rounded down; not negative.
        ttl_s: i64,
    },
    /// After the origin has confirmed it.
    Stale {
        /// What to ask the origin with; where it holds nothing, fetch anew.
        validators: Validators<'a>,
        /// Whether its age or the client's wish is the reason.
        forward: Forward,
        /// Seconds of freshness left, negative once stale.
        ttl_s: i64,
    },
    /// Not at all: the request carries credentials and the response is not marked for sharing. Forward it.
    Withheld,
}

/// Why a request goes to the origin, in the words of `Cache-Status`.
///
//= RFC 9211 section 2.2: the values of fwd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// The cache was told not to handle it.
    Bypass,
    /// The method is not one it handles.
    Method,
    /// Nothing is stored for this target.
    UriMiss,
    /// Something is stored, but not for these fields.
    VaryMiss,
    /// Nothing stored can be used, for another reason.
    Miss,
    /// The request's own directives forbid the stored response.
    Request,
    /// The stored response is stale.
    Stale,
}

impl Forward {
    /// Return the word for metrics and `Cache-Status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }
}

/// Decide how a stored response may answer a request.
///
/// Nothing stale is ever served: `stale-while-revalidate`, `stale-if-error` and `max-stale` come later, so
/// `must-revalidate` needs nothing here.
#[must_use]
pub fn state<'a>(meta: &Meta, validators: Validators<'a>, serve: &Serve, now_ms: u64) -> State<'a> {
    //= RFC 9111 section 3.5: credentials and shared caches. The section forbids reusing answers to authorised
    // requests; we read it both ways, since an anonymous page is no answer to someone who has logged in.
    if serve.is_authorized && !meta.is_shared {
        return State::Withheld;
    }
    let age_ms = meta.age_now_ms(now_ms);
    let left_ms = meta.fresh_left_ms(now_ms);
    let ttl_s = left_ms.div_euclid(1000);
    let stale = |forward| State::Stale { validators, forward, ttl_s };
    if !meta.is_fresh(now_ms) {
        return stale(Forward::Stale);
    }
    //= RFC 9111 section 5.2.1: max-age, min-fresh and no-cache of a request.
    let is_too_old = serve.age_max_s.is_some_and(|most_s| age_ms > most_s.saturating_mul(1000));
    let is_too_near = i64::try_from(serve.fresh_min_s.saturating_mul(1000)).map_or(true, |least_ms| left_ms < least_ms);
    if serve.needs_validation || is_too_old || is_too_near {
        return stale(Forward::Request);
    }
    State::Fresh { age_s: age_ms / 1000, ttl_s }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRIVED_MS: u64 = 1_000_000;

    fn meta() -> Meta {
        Meta {
            arrived_ms: ARRIVED_MS,
            age_ms: 5_000,
            lifetime_ms: 60_000,
            date_s: None,
            always_validate: false,
            is_shared: false,
        }
    }

    fn check(meta: Meta, serve: Serve, after_ms: u64, expected: State<'_>) {
        let found = state(&meta, Validators::default(), &serve, ARRIVED_MS + after_ms);
        assert_eq!(found, expected, "{meta:?} {serve:?} after {after_ms} ms");
    }

    fn stale(forward: Forward, ttl_s: i64) -> State<'static> {
        State::Stale { validators: Validators::default(), forward, ttl_s }
    }

    #[test]
    fn counts_the_age_from_the_origin_on() {
        let serve = Serve::default();
        check(meta(), serve, 0, State::Fresh { age_s: 5, ttl_s: 55 });
        check(meta(), serve, 54_999, State::Fresh { age_s: 59, ttl_s: 0 });
        check(meta(), serve, 55_000, stale(Forward::Stale, 0));
        check(meta(), serve, 56_001, stale(Forward::Stale, -2));
        check(Meta { age_ms: u64::MAX, ..meta() }, serve, 9, stale(Forward::Stale, -9_223_372_036_854_776));
    }

    #[test]
    fn does_not_grow_younger_when_the_clock_goes_back() {
        let before = state(&meta(), Validators::default(), &Serve::default(), 0);
        assert_eq!(before, State::Fresh { age_s: 5, ttl_s: 55 });
    }

    #[test]
    fn obeys_the_conditions_of_the_request() {
        let serve = Serve::default();
        check(meta(), Serve { needs_validation: true, ..serve }, 0, stale(Forward::Request, 55));
        check(meta(), Serve { age_max_s: Some(5), ..serve }, 0, State::Fresh { age_s: 5, ttl_s: 55 });
        check(meta(), Serve { age_max_s: Some(4), ..serve }, 0, stale(Forward::Request, 55));
        check(meta(), Serve { fresh_min_s: 55, ..serve }, 0, State::Fresh { age_s: 5, ttl_s: 55 });
        check(meta(), Serve { fresh_min_s: 56, ..serve }, 0, stale(Forward::Request, 55));
        check(Meta { always_validate: true, ..meta() }, serve, 0, stale(Forward::Stale, 55));
    }

    #[test]
    fn keeps_unmarked_responses_from_the_authorised() {
        let serve = Serve { is_authorized: true, ..Serve::default() };
        check(meta(), serve, 0, State::Withheld);
        check(Meta { is_shared: true, ..meta() }, serve, 0, State::Fresh { age_s: 5, ttl_s: 55 });
    }
}
