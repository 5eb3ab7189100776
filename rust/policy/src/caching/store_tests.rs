use super::super::testing::{get, headers};
use super::*;

/// 06 Nov 1994 08:49:37 GMT.
const NOW_MS: u64 = 784_111_777_000;
const TIMES: Times = Times { asked_ms: NOW_MS - 200, arrived_ms: NOW_MS };
const ETAG: (&str, &str) = ("etag", "\"a\"");

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn decide(request: Pairs<'_>, status: u16, response: Pairs<'_>) -> Store {
    let (request, response) = (headers(request), headers(response));
    let response = Response { status, fields: Fields(&response) };
    store(&get(&request), &response, TIMES)
}

fn rejects(request: Pairs<'_>, status: u16, response: Pairs<'_>, expected: Reject) {
    let found = decide(request, status, response);
    assert_eq!(found, Store::Pass(expected), "{request:?} {status} {response:?}");
}

/// Check what is kept: lifetime and age in milliseconds, always validated, shared.
fn keeps(request: Pairs<'_>, response: Pairs<'_>, expected: (u64, u64, bool, bool)) {
    let Store::Keep(Keep { meta, .. }) = decide(request, 200, response) else {
        panic!("not kept: {request:?} {response:?}");
    };
    let found = (meta.lifetime_ms, meta.age_ms, meta.always_validate, meta.is_shared);
    assert_eq!(found, expected, "{request:?} {response:?}");
}

#[test]
fn keeps_what_is_explicitly_fresh() {
    keeps(&[], &[("cache-control", "max-age=60")], (60_000, 200, false, false));
    keeps(&[], &[("cache-control", "max-age=60, s-maxage=9")], (9_000, 200, false, true));
    keeps(&[], &[("cache-control", "s-maxage=90"), ("cache-control", "max-age=60")], (90_000, 200, false, true));
    keeps(&[], &[("cache-control", "max-age=60, public")], (60_000, 200, false, true));
    keeps(&[], &[("cache-control", "max-age=99999999999999999999")], (SECONDS_MAX * 1000, 200, false, false));
    rejects(&[], 200, &[], Reject::NoFreshness);
    rejects(&[], 200, &[ETAG], Reject::NoFreshness);
    rejects(&[], 200, &[("cache-control", "public")], Reject::NoFreshness);
    rejects(&[], 200, &[("expires", "Sun, 06 Nov 1994 09:49:37 GMT")], Reject::NoFreshness);
}

#[test]
fn counts_the_age_that_a_response_brings() {
    let fresh = ("cache-control", "max-age=60");
    keeps(&[], &[fresh, ("age", "5")], (60_000, 5_200, false, false));
    keeps(&[], &[fresh, ("age", "5, 9")], (60_000, 5_200, false, false));
    keeps(&[], &[fresh, ("age", "-5")], (60_000, 200, false, false));
    keeps(&[], &[fresh, ("age", "5.5")], (60_000, 200, false, false));
    keeps(&[], &[fresh, ("date", "Sun, 06 Nov 1994 08:49:36 GMT")], (60_000, 200, false, false));
    keeps(&[], &[fresh, ("date", "Sun, 06 Nov 1994 08:49:07 GMT")], (60_000, 29_001, false, false));
    keeps(&[], &[fresh, ("date", "Sun, 06 Nov 1994 09:49:07 GMT")], (60_000, 200, false, false));
    keeps(&[], &[fresh, ("date", "yesterday")], (60_000, 200, false, false));
    rejects(&[], 200, &[fresh, ("age", "60")], Reject::Expired);
    rejects(&[], 200, &[fresh, ("age", "99999999999999999999999")], Reject::Expired);
    rejects(&[], 200, &[fresh, ("date", "Sun, 06 Nov 1994 08:00:00 GMT")], Reject::Expired);
}

#[test]
fn keeps_stale_ones_only_to_be_confirmed() {
    keeps(&[], &[("cache-control", "no-cache"), ETAG], (0, 200, true, false));
    keeps(&[], &[("cache-control", "no-cache=\"x\", max-age=60"), ETAG], (60_000, 200, true, false));
    keeps(&[], &[("cache-control", "max-age=0"), ETAG], (0, 200, false, false));
    rejects(&[], 200, &[("cache-control", "no-cache, max-age=60")], Reject::Expired);
    rejects(&[], 200, &[("cache-control", "no-cache"), ("etag", "bare")], Reject::Expired);
    rejects(&[], 200, &[("cache-control", "max-age=0")], Reject::Expired);
    rejects(&[], 200, &[("cache-control", "max-age=x")], Reject::Expired);
    rejects(&[], 200, &[("cache-control", "max-age=60, s-maxage=x")], Reject::Expired);
}

#[test]
fn never_keeps_what_is_not_for_everyone() {
    let fresh = ("cache-control", "public, max-age=60");
    rejects(&[], 200, &[fresh, ("Cache-Control", "Private")], Reject::Private);
    rejects(&[], 200, &[("cache-control", "private=\"x\", max-age=60")], Reject::Private);
    rejects(&[], 200, &[fresh, ("cache-control", "no-store")], Reject::NoStore);
    rejects(&[], 200, &[("cache-control", "must-understand, no-store, max-age=60")], Reject::NoStore);
    rejects(&[("cache-control", "no-store")], 200, &[fresh], Reject::NoStore);
    rejects(&[], 200, &[fresh, ("Set-Cookie", "a=b")], Reject::SetCookie);
    rejects(&[], 200, &[("cache-control", "max-age=60, x=\"private")], Reject::Malformed);
    rejects(&[], 200, &[("cache-control", "max-age =60")], Reject::Malformed);
    rejects(&[], 200, &[fresh, ("vary", "accept, *")], Reject::Vary);
    rejects(&[], 200, &[fresh, ("vary", "a b")], Reject::Vary);
}

#[test]
fn shares_authorised_responses_only_when_told() {
    let credentials = &[("authorization", "Basic x")];
    rejects(credentials, 200, &[("cache-control", "max-age=60")], Reject::Authorization);
    rejects(credentials, 200, &[("cache-control", "max-age=60, proxy-revalidate")], Reject::Authorization);
    keeps(credentials, &[("cache-control", "max-age=60, public")], (60_000, 200, false, true));
    keeps(credentials, &[("cache-control", "max-age=60, must-revalidate")], (60_000, 200, false, true));
    keeps(credentials, &[("cache-control", "s-maxage=60")], (60_000, 200, false, true));
}

#[test]
fn keeps_complete_and_final_answers_to_get() {
    let fresh: Pairs = &[("cache-control", "max-age=60")];
    for status in [200, 203, 204, 300, 301, 302, 307, 308, 404, 410] {
        assert!(matches!(decide(&[], status, fresh), Store::Keep(_)), "{status}");
    }
    rejects(&[], 206, fresh, Reject::Partial);
    for status in [100, 101, 103, 201, 303, 304, 400, 401, 403, 405, 413, 414, 416, 431, 500, 502, 503, 600] {
        rejects(&[], status, fresh, Reject::Status);
    }
    let list = headers(fresh);
    let response = Response { status: 200, fields: Fields(&list) };
    for method in ["HEAD", "POST", "OPTIONS", "get"] {
        let request = Request { method, ..get(&[]) };
        assert_eq!(store(&request, &response, TIMES), Store::Pass(Reject::Method));
    }
}
