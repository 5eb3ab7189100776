//! Whether a request may be answered from the store, and under which conditions.

use super::directives::Directives;
use super::fields::members;
use super::{Fields, Request};

/// What to do with a request before the store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Ask the store; a miss is fetched and may be stored, unless `pass_on_miss`.
    Serve(Serve),
    /// Forward it; neither ask the store nor keep the answer.
    Pass(Bypass),
}

/// The conditions under which a stored response may answer a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serve {
    /// A stored response must be confirmed by the origin first.
    pub needs_validation: bool,
    /// Without a fresh stored response the answer is 504; the origin is not asked.
    pub only_if_cached: bool,
    /// The request carries credentials: only responses marked [`super::Meta::is_shared`] may answer it,
    /// and it may not wait for the answer to a request of someone else before that is known.
    pub is_authorized: bool,
    /// The oldest age that is accepted, seconds.
    pub age_max_s: Option<u64>,
    /// The freshness that must be left, seconds.
    pub fresh_min_s: u64,
    /// Why a miss is forwarded as it is and its answer not kept.
    pub pass_on_miss: Option<Bypass>,
}

/// Why the store is not used for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// Neither GET nor HEAD.
    Method,
    /// A GET or HEAD with a body.
    Body,
    /// The connection may change its protocol.
    Upgrade,
    /// The client forbids storing.
    NoStore,
    /// A precondition that only the origin may evaluate.
    Precondition,
    /// A part is wanted and the whole is not stored.
    Range,
    /// Only the head is wanted and nothing is stored.
    Head,
}

impl Bypass {
    /// Return the word for metrics and `Cache-Status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Body => "request-body",
            Self::Upgrade => "upgrade",
            Self::NoStore => "request-no-store",
            Self::Precondition => "precondition",
            Self::Range => "range",
            Self::Head => "head",
        }
    }
}

/// Decide whether a request may be answered from the store.
///
/// A request that is fetched for the store must leave without [`super::conditional::FIELDS`]: an answer to
/// the client's own conditions could not be stored.
#[must_use]
pub fn lookup(request: &Request<'_>) -> Lookup {
    let fields = request.fields;
    if request.method != "GET" && request.method != "HEAD" {
        return Lookup::Pass(Bypass::Method);
    }
    if request.is_upgrade {
        return Lookup::Pass(Bypass::Upgrade);
    }
    // The body is not part of the key, so that an answer that depends on it would reach others.
    if request.has_body {
        return Lookup::Pass(Bypass::Body);
    }
    let directives = Directives::read(fields);
    //= RFC 9111 section 5.2.1.5: no-store: nothing of the request or its response may be stored.
    if directives.no_store {
        return Lookup::Pass(Bypass::NoStore);
    }
    //= RFC 9111 section 4.3.2: a cache must not evaluate If-Match and If-Unmodified-Since.
    if fields.has("if-match") || fields.has("if-unmodified-since") {
        return Lookup::Pass(Bypass::Precondition);
    }
    Lookup::Serve(Serve {
        needs_validation: needs_validation(fields, &directives),
        only_if_cached: directives.only_if_cached,
        is_authorized: fields.has("authorization"),
        age_max_s: directives.max_age,
        fresh_min_s: directives.min_fresh,
        pass_on_miss: pass_on_miss(request),
    })
}

fn needs_validation(fields: Fields<'_>, directives: &Directives) -> bool {
    //= RFC 9111 section 5.4: Pragma: no-cache counts where there is no Cache-Control.
    let pragma = || {
        !fields.has("cache-control")
            && fields
                .all("pragma")
                .flat_map(members)
                .any(|member| member.map_or(true, |text| text.eq_ignore_ascii_case(b"no-cache")))
    };
    directives.no_cache || directives.is_malformed || directives.max_age == Some(0) || pragma()
}

fn pass_on_miss(request: &Request<'_>) -> Option<Bypass> {
    if request.method == "HEAD" {
        Some(Bypass::Head)
    } else if request.fields.has("range") {
        Some(Bypass::Range)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::headers;
    use super::*;

    fn check(method: &str, fields: &[(&str, &str)], expected: Lookup) {
        let list = headers(fields);
        let request = Request { method, fields: Fields(&list), has_body: false, is_upgrade: false };
        assert_eq!(lookup(&request), expected, "{method} {fields:?}");
    }

    fn validates() -> Serve {
        Serve { needs_validation: true, ..Serve::default() }
    }

    #[test]
    fn passes_what_the_store_may_not_answer() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", ""] {
            check(method, &[], Lookup::Pass(Bypass::Method));
        }
        check("GET", &[("cache-control", "no-store")], Lookup::Pass(Bypass::NoStore));
        check(
            "GET",
            &[("Cache-Control", "x=\"y, no-cache=\""), ("cache-control", "NO-STORE")],
            Lookup::Pass(Bypass::NoStore),
        );
        check("GET", &[("if-match", "\"a\"")], Lookup::Pass(Bypass::Precondition));
        check("GET", &[("if-unmodified-since", "x")], Lookup::Pass(Bypass::Precondition));
        let bare = Request { method: "GET", fields: Fields(&[]), has_body: true, is_upgrade: false };
        assert_eq!(lookup(&bare), Lookup::Pass(Bypass::Body));
        let upgrade = Request { has_body: false, is_upgrade: true, ..bare };
        assert_eq!(lookup(&upgrade), Lookup::Pass(Bypass::Upgrade));
    }

    #[test]
    fn serves_under_the_clients_conditions() {
        let serve = Serve::default;
        check("GET", &[], Lookup::Serve(serve()));
        check("HEAD", &[], Lookup::Serve(Serve { pass_on_miss: Some(Bypass::Head), ..serve() }));
        check("GET", &[("range", "bytes=0-1")], Lookup::Serve(Serve { pass_on_miss: Some(Bypass::Range), ..serve() }));
        check("GET", &[("authorization", "Basic x")], Lookup::Serve(Serve { is_authorized: true, ..serve() }));
        check("GET", &[("cache-control", "only-if-cached")], Lookup::Serve(Serve { only_if_cached: true, ..serve() }));
        check(
            "GET",
            &[("cache-control", "max-age=9, min-fresh=3")],
            Lookup::Serve(Serve { age_max_s: Some(9), fresh_min_s: 3, ..serve() }),
        );
    }

    #[test]
    fn validates_when_told() {
        check("GET", &[("cache-control", "no-cache")], Lookup::Serve(validates()));
        check("GET", &[("cache-control", "x=\"")], Lookup::Serve(validates()));
        check("GET", &[("pragma", "a, No-Cache")], Lookup::Serve(validates()));
        check("GET", &[("pragma", "no-cache"), ("cache-control", "x")], Lookup::Serve(Serve::default()));
        check("GET", &[("cache-control", "max-age=0")], Lookup::Serve(Serve { age_max_s: Some(0), ..validates() }));
        check("GET", &[("cache-control", "max-age=x")], Lookup::Serve(Serve { age_max_s: Some(0), ..validates() }));
    }
}
