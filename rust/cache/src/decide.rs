//! What becomes of an answer: passed on, stored, or the confirmation of what is stored.

use crate::between::Said;
use crate::fetch::Ask;
use crate::flight::{Confirmed, FetchError, FlightHead};
use crate::object::{Body as Whole, Object};
use crate::service::Cache;
use crate::store::{Insert, Offer};
use crate::terms::Terms;
use alongside_policy::caching::vary::VaryNames;
use alongside_policy::caching::{
    Fields, Keep, Meta, Reject, Request, Response, Store as Verdict, Times, date, refresh,
};
use alongside_protocols::{Body, ResponseHead};
use bytes::Bytes;
use std::sync::Arc;

/// A final head, and what was decided of it.
pub(crate) enum Decided {
    /// The stored answer holds.
    Confirmed { confirmed: Confirmed, keep_alive: bool },
    /// The 304 speaks of something else: ask again without conditions.
    Unconfirmed,
    /// A new answer.
    New { head: Arc<FlightHead>, body: Body, keep: Option<Keep>, keep_alive: bool },
    /// The sibling has nothing stored; a body that says so follows.
    NotStored { body: Body, keep_alive: bool },
    /// The sibling's answer was made before a purge that it may not know of yet.
    Outdated,
    /// The sibling got no answer either.
    Faulty(FetchError),
}

/// What becomes of a final head. Pure but for the store, which takes a confirmed answer.
pub(crate) fn decide(
    cache: &Cache,
    ask: &Ask,
    head: &ResponseHead<'_, '_>,
    (asked_ms, said): (u64, Option<Said>),
) -> Result<Decided, FetchError> {
    let arrived_ms = cache.clock.now_ms();
    let said = said.unwrap_or_default();
    // What a sibling waited for before its answer has an age is not part of the answer's way.
    let times = Times { asked_ms: asked_ms.saturating_add(said.took_ms).min(arrived_ms), arrived_ms };
    let asked = ask.asker.fields();
    let request = Request { method: "GET", fields: Fields(&asked), has_body: false, is_upgrade: false };
    let mut fields: Vec<httparse::Header<'_>> =
        head.end_to_end().map(|(name, value)| httparse::Header { name, value }).collect();
    let mut now = Vec::new();
    //= RFC 9110 section 6.6.1: who keeps an answer without a Date adds the time at which it came.
    if !Fields(&fields).has("date") {
        date::write(times.arrived_ms / 1000, &mut now);
        fields.push(httparse::Header { name: "date", value: &now });
    }
    match (&ask.stale, head.status) {
        (Some(stale), 304) => {
            if !refresh::confirms(stale.validators(), Fields(&fields)) {
                return Ok(Decided::Unconfirmed);
            }
            let confirmed = confirm(cache, (ask, stale), (&fields, before(head)), (&request, times, said));
            Ok(Decided::Confirmed { confirmed, keep_alive: head.keep_alive })
        }
        (None, 304) => Err(FetchError::Refused),
        _ => {
            let verdict = alongside_policy::caching::store(
                &request,
                &Response { status: head.status, fields: Fields(&fields) },
                times,
            );
            Ok(new_answer(cache, head, &fields, verdict, (&request, times, said)))
        }
    }
}

/// What becomes of an answer that is not stored yet.
fn new_answer(
    cache: &Cache,
    head: &ResponseHead<'_, '_>,
    fields: &[httparse::Header<'_>],
    verdict: Verdict,
    (request, times, said): (&Request<'_>, Times, Said),
) -> Decided {
    let length = match head.body {
        Body::None => Some(0),
        Body::Length(bytes) => Some(bytes),
        Body::Chunked | Body::UntilClose => None,
    };
    let (keep, reject) = match verdict {
        Verdict::Keep(keep) => (Some(Keep { meta: aged(keep.meta, times, said), ..keep }), None),
        Verdict::Pass(reject) => (None, Some(reject)),
    };
    let unshared = reject.map(Reject::as_str);
    // One client's credentials or an error that its fields provoked say nothing about the others' requests.
    let is_provoked = matches!(reject, Some(Reject::Authorization | Reject::Status | Reject::Partial));
    let is_open = head.body == Body::UntilClose || said.is_unkept;
    let obstacle = obstacle(cache, is_open, length);
    if let Some(reason) = unshared.or(obstacle) {
        cache.metrics.unstored(reason);
    }
    let vary = keep.as_ref().map(|keep| keep.vary.clone()).unwrap_or_default();
    let meta = keep.as_ref().map_or_else(|| crate::answer::passing(times.arrived_ms), |keep| keep.meta);
    let preview = Object::new(head.status, written(head.status, head.reason, fields), Whole::new(Vec::new()), meta);
    let is_kept = keep.is_some() && obstacle.is_none();
    let terms = Terms::new(unshared, vary, request.fields, &meta);
    let is_personal = !is_kept && !is_provoked;
    let flight_head = FlightHead { preview, length, terms, before: before(head), is_kept, is_open, is_personal };
    Decided::New {
        head: Arc::new(flight_head),
        body: head.body,
        keep: keep.filter(|_| is_kept),
        keep_alive: head.keep_alive,
    }
}

/// Why an answer that may be stored cannot be.
fn obstacle(cache: &Cache, is_open: bool, length: Option<u64>) -> Option<&'static str> {
    if is_open {
        // Nobody could tell whether it is whole.
        return Some("no-length");
    }
    length.is_some_and(|bytes| bytes > cache.store.object_bytes_max()).then_some("too-large")
}

/// Whether a sibling's answer was made before the last purge of its URL. An age is at least as long as the way from the origin, so
/// that what was asked for before a purge and came after it counts as older.
pub(crate) fn is_outdated(cache: &Cache, key: &[u8], asked_ms: u64, said: Said) -> bool {
    let left_ms = asked_ms.saturating_add(said.took_ms).min(cache.clock.now_ms());
    let made_ms = left_ms.saturating_sub(said.age_ms.unwrap_or(0));
    cache.purged.is_after(crate::key::url(key), made_ms)
}

/// Makes an answer as old as a sibling says it is, which is finer than `Age` and never less.
fn aged(meta: Meta, times: Times, said: Said) -> Meta {
    let way_ms = times.arrived_ms.saturating_sub(times.asked_ms);
    Meta { age_ms: meta.age_ms.max(said.age_ms.unwrap_or(0).saturating_add(way_ms)), ..meta }
}

/// Returns what caches nearer to the origin said of an answer.
fn before(head: &ResponseHead<'_, '_>) -> Vec<u8> {
    let members: Vec<&[u8]> = head.fields_named("cache-status").filter(|value| !value.is_empty()).collect();
    members.join(&b", "[..])
}

/// Renews a stored answer by a 304.
fn confirm(
    cache: &Cache,
    (ask, stale): (&Ask, &Object),
    (update, before): (&[httparse::Header<'_>], Vec<u8>),
    (request, times, said): (&Request<'_>, Times, Said),
) -> Confirmed {
    let stored = stale.fields();
    let merged = refresh::merge(Fields(&stored), Fields(update));
    let response = Response { status: stale.status(), fields: Fields(&merged) };
    let head = written(stale.status(), alongside_http::answer::phrase(stale.status()), &merged);
    match alongside_policy::caching::store(request, &response, times) {
        Verdict::Keep(keep) => {
            let keep = Keep { meta: aged(keep.meta, times, said), ..keep };
            let terms = Terms::new(None, keep.vary.clone(), request.fields, &keep.meta);
            let object = stale.refreshed(head.clone(), keep.meta);
            let offer = Offer { key: &ask.key, ticket: ask.ticket, request: request.fields, vary: keep.vary, object };
            match cache.store.insert(offer, times.arrived_ms) {
                Insert::Stored(object) => Confirmed { object, terms, before, is_stored: true },
                refused => {
                    cache.metrics.unstored(refused.as_str());
                    let object = Arc::new(stale.refreshed(head, keep.meta));
                    Confirmed { object, terms, before, is_stored: false }
                }
            }
        }
        Verdict::Pass(reject) => {
            cache.metrics.unstored(reject.as_str());
            cache.store.remove(&ask.key);
            let meta = crate::answer::passing(times.arrived_ms);
            let terms = Terms::new(Some(reject.as_str()), VaryNames::default(), request.fields, &meta);
            Confirmed { object: Arc::new(stale.refreshed(head, meta)), terms, before, is_stored: false }
        }
    }
}

/// Returns a stored head: status line and fields, without those that each hop or answer writes anew.
fn written(status: u16, reason: &str, fields: &[httparse::Header<'_>]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n").into_bytes();
    for field in fields {
        if !["age", "cache-status"].iter().any(|name| field.name.eq_ignore_ascii_case(name)) {
            head.extend_from_slice(field.name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(field.value);
            head.extend_from_slice(b"\r\n");
        }
    }
    head
}

/// Stores a whole answer; returns it where that was possible.
pub(crate) fn land(cache: &Cache, ask: &Ask, head: &FlightHead, keep: Keep, pieces: Vec<Bytes>) -> Option<Arc<Object>> {
    let asked = ask.asker.fields();
    let object = Object::new(head.preview.status(), head.preview.head().to_vec(), Whole::new(pieces), keep.meta);
    let offer = Offer { key: &ask.key, ticket: ask.ticket, request: Fields(&asked), vary: keep.vary, object };
    match cache.store.insert(offer, cache.clock.now_ms()) {
        Insert::Stored(object) => Some(object),
        refused => {
            cache.metrics.unstored(refused.as_str());
            None
        }
    }
}
