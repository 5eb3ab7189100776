//! Whatever the fields say, the caching decisions neither panic nor keep what is not for everyone.

use alongside_policy::caching::{
    Fields, Lookup, Request, Response, Store, Times, Validators, conditional, date, lookup, range, refresh, state,
    store, vary,
};
use httparse::Header;
use proptest::prelude::*;

type Pairs = Vec<(String, Vec<u8>)>;

fn names() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "cache-control",
        "Cache-Control",
        "age",
        "date",
        "etag",
        "last-modified",
        "vary",
        "Set-Cookie",
        "authorization",
        "range",
        "if-range",
        "if-none-match",
        "if-modified-since",
        "pragma",
        "expires",
        "accept",
        "content-length",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => "[!-~]{1,12}"]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "max-age=60",
        "s-maxage=9",
        "max-age=",
        "public",
        "private",
        "no-store",
        "no-cache",
        "\"",
        "\\",
        ",",
        " ",
        "=",
        "*",
        "a",
        "\"a\"",
        "W/\"a\"",
        "bytes=0-1",
        "bytes=-",
        "99999999999999999999",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "-1",
    ]);
    prop_oneof![
        3 => prop::collection::vec(pieces, 0..6).prop_map(|list| list.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::vec((names(), values()), 0..8)
}

fn borrow(pairs: &Pairs) -> Vec<Header<'_>> {
    pairs.iter().map(|(name, value)| Header { name, value }).collect()
}

fn request<'a>(fields: &'a [Header<'a>]) -> Request<'a> {
    Request { method: "GET", fields: Fields(fields), has_body: false, is_upgrade: false }
}

/// A directive in any case, alone or among others, in one line or its own.
fn forbidding() -> impl Strategy<Value = (String, Vec<u8>)> {
    let word =
        prop::sample::select(vec!["private", "PRIVATE", "no-store", "No-Store", "private=\"a, b\"", "no-store=x"]);
    let others = || {
        prop::collection::vec(
            prop::sample::select(vec!["public", "max-age=60", "x", "x=y", "", "x=\"q, r\"", "s-maxage=5"]),
            0..3,
        )
    };
    (others(), word, others(), prop::sample::select(vec![",", ", ", " ,\t"])).prop_map(
        |(before, word, after, comma)| {
            let list: Vec<&str> = before.into_iter().chain([word]).chain(after).collect();
            ("cache-control".to_owned(), list.join(comma).into_bytes())
        },
    )
}

proptest! {
    #[test]
    fn never_panics(ours in pairs(), theirs in pairs(), asked_ms: u64, arrived_ms: u64, now_ms: u64, status in 100u16..600, length: u64) {
        let (ours, theirs) = (borrow(&ours), borrow(&theirs));
        let request = request(&ours);
        let fields = Fields(&theirs);
        let validators = Validators::read(fields);
        let decision = store(&request, &Response { status, fields }, Times { asked_ms, arrived_ms });
        if let (Lookup::Serve(serve), Store::Keep(keep)) = (lookup(&request), &decision) {
            let _ = state(&keep.meta, validators, &serve, now_ms);
            let stored = range::Stored { status, length, validators };
            if let range::Selection::Part { first, last } = range::select(&request, &stored, &keep.meta) {
                prop_assert!(first <= last && last < length);
            }
            vary::key(&keep.vary, request.fields, &mut Vec::new());
        }
        let _ = conditional::answer(&request, status, validators);
        let _ = refresh::confirms(validators, request.fields);
        let merged = refresh::merge(fields, request.fields);
        let _ = store(&request, &Response { status, fields: Fields(&merged) }, Times { asked_ms, arrived_ms });
        date::write(now_ms, &mut Vec::new());
    }

    #[test]
    fn never_keeps_what_is_forbidden(mut theirs in pairs(), forbidding in forbidding(), at: prop::sample::Index) {
        theirs.insert(at.index(theirs.len() + 1), forbidding);
        let list = borrow(&theirs);
        let decision = store(&request(&[]), &Response { status: 200, fields: Fields(&list) }, Times { asked_ms: 0, arrived_ms: 0 });
        prop_assert!(matches!(decision, Store::Pass(_)));
    }

    #[test]
    fn never_keeps_a_cookie(mut theirs in pairs(), value in values(), at: prop::sample::Index) {
        theirs.insert(at.index(theirs.len() + 1), ("sEt-CoOkIe".to_owned(), value));
        let list = borrow(&theirs);
        let decision = store(&request(&[]), &Response { status: 200, fields: Fields(&list) }, Times { asked_ms: 0, arrived_ms: 0 });
        prop_assert!(matches!(decision, Store::Pass(_)));
    }

    #[test]
    fn vary_values_are_told_apart_by_more_than_folding(one in "[ab,\" ]{0,8}", other in "[ab,\" ]{0,8}") {
        let list = [Header { name: "vary", value: b"accept" }];
        let names = vary::names(Fields(&list)).unwrap();
        let [one_key, other_key] = [&one, &other].map(|value| {
            let list = [Header { name: "accept", value: value.as_bytes() }];
            let mut out = Vec::new();
            vary::key(&names, Fields(&list), &mut out);
            out
        });
        if one_key == other_key {
            let bare = |text: &str| text.replace(' ', "");
            prop_assert_eq!(bare(&one), bare(&other));
        }
    }
}
