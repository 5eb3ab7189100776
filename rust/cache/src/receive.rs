//! What a sibling sent, looked at as if a stranger had, and stored where it is as good as an own answer.

use crate::clock::Clock;
use crate::key;
use crate::metrics::CacheMetrics;
use crate::object::{Body, Object};
use crate::purged::Purged;
use crate::record::Record;
use crate::store::{Insert, Offer, Store, Tickets};
use alongside_policy::caching::{Fields, Keep, Meta, Request, Response, Store as Verdict, Times, store, vary};
use alongside_protocols::{Asked, FIELDS_MAX, Limits, guard, scratch};
use bytes::Bytes;
use std::sync::Arc;

/// The part of the store that is left free, one in so many: what clients bring meanwhile needs room too.
const FREE_PART: u64 = 32;

/// What a record takes beside its bytes, about.
const RECORD_BYTES: u64 = 1024;

/// What must be known to store what one sibling sends.
pub(crate) struct Receiver {
    /// The time.
    pub clock: Clock,
    /// When the sibling was asked: its stream began after that.
    pub asked_ms: u64,
    /// Purges after these win.
    pub tickets: Tickets,
    /// So do those before it that the sibling may not know of.
    pub purged: Arc<Purged>,
    /// What is counted.
    pub metrics: CacheMetrics,
}

impl Receiver {
    /// Whether another answer fits without anything having to leave.
    pub fn has_room(&self, store: &Store, body_bytes: u64) -> bool {
        let wanted = store.weight().saturating_add(body_bytes).saturating_add(RECORD_BYTES);
        wanted <= store.bytes_max() - store.bytes_max() / FREE_PART
    }

    /// Stores one answer, unless something is wrong with it, newer, or purged meanwhile.
    pub fn store(&self, into: &Store, record: &Record, body: Bytes) {
        let bytes = body.len() as u64;
        self.metrics.warmed_bytes.inc_by(bytes + crate::record::record_bytes(record) as u64);
        let now_ms = self.clock.now_ms();
        // The stream began after it was asked for, so that this is at least as long as the record was on its way.
        let way_ms = now_ms.saturating_sub(self.asked_ms).saturating_sub(record.sent_ms);
        if self.try_store(into, record, body, (now_ms, way_ms)) == Some(true) {
            self.metrics.warmed_objects.inc();
        }
    }

    fn try_store(&self, into: &Store, record: &Record, body: Bytes, (now_ms, way_ms): (u64, u64)) -> Option<bool> {
        key::read(&record.key)?;
        let text = [&record.head[..], b"\r\n"].concat();
        let mut room = scratch();
        let fields = sound_fields(record.status, &text, &mut room)?;
        let names = vary::names(Fields(fields))?;
        let request = vary::fields(&names, &record.values)?;
        let meta = meta(record, fields, Fields(&request), (now_ms, way_ms))?;
        let made_ms = now_ms.saturating_sub(meta.age_now_ms(now_ms));
        if self.purged.is_after(key::url(&record.key), made_ms) {
            return None;
        }
        let object = Object::new(record.status, record.head.clone(), Body::new(vec![body]), meta);
        let ticket = into.ticket_of(&self.tickets, &record.key);
        let offer = Offer { key: &record.key, ticket, request: Fields(&request), vary: names.clone(), object };
        Some(matches!(into.insert(offer, now_ms), Insert::Stored(_)))
    }
}

/// Returns the fields of a head that a store may hold: one that the guard lets in, without what each hop writes anew.
fn sound_fields<'h, 'b>(
    status: u16,
    text: &'b [u8],
    room: &'h mut alongside_protocols::Scratch<'b>,
) -> Option<&'h [httparse::Header<'b>]> {
    let limits = Limits { head_bytes_max: text.len() + 1, fields_max: FIELDS_MAX, target_bytes_max: 0 };
    let head = guard::response(text, room, &limits, Asked::default()).ok()??;
    let written_anew = ["age", "cache-status"];
    let is_sound = head.status == status
        && head.head_bytes == text.len()
        && head.end_to_end().count() == head.fields.len()
        && !head.fields.iter().any(|field| written_anew.iter().any(|name| field.name.eq_ignore_ascii_case(name)));
    is_sound.then_some(head.fields)
}

/// Decides anew whether and for how long it may be kept; it is as old as the sibling says, or older.
fn meta(
    record: &Record,
    fields: &[httparse::Header<'_>],
    request: Fields<'_>,
    (now_ms, way_ms): (u64, u64),
) -> Option<Meta> {
    let request = Request { method: "GET", fields: request, has_body: false, is_upgrade: false };
    let response = Response { status: record.status, fields: Fields(fields) };
    let times = Times { asked_ms: now_ms, arrived_ms: now_ms };
    let Verdict::Keep(Keep { meta, .. }) = store(&request, &response, times) else { return None };
    let here_ms = record.arrived_ms.saturating_add(way_ms).min(now_ms);
    let age_ms = record.age_ms.saturating_add(way_ms).max(meta.age_ms);
    let meta = Meta { arrived_ms: now_ms - here_ms, age_ms: age_ms.saturating_sub(here_ms), ..meta };
    meta.is_fresh(now_ms).then_some(meta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Url;
    use crate::store::Found;
    use prometheus_client::registry::Registry;

    fn receiver(store: &Store) -> Receiver {
        let clock = Clock::new();
        let metrics = crate::metrics::Metrics::register(&mut Registry::default()).cache("c");
        Receiver { clock, asked_ms: clock.now_ms(), tickets: store.tickets(), purged: Arc::default(), metrics }
    }

    fn record(head: &str) -> Record {
        let mut key = Vec::new();
        key::write(&Url { scheme: "http", host: b"a", target: b"/x" }, b"k", &mut key);
        Record { status: 200, key, head: head.as_bytes().to_vec(), ..Record::default() }
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n";

    fn is_stored(store: &Store, receiver: &Receiver, record: &Record) -> bool {
        receiver.store(store, record, Bytes::from_static(b"body"));
        matches!(store.find(&record.key, Fields(&[]), &mut Vec::new()), Found::Object(_))
    }

    fn check(record: &Record, expected: bool) {
        let store = Store::new(1 << 20, None);
        assert_eq!(is_stored(&store, &receiver(&store), record), expected, "{record:?}");
    }

    #[test]
    fn stores_what_is_as_good_as_an_own_answer() {
        check(&record(HEAD), true);
        let good = record(HEAD);
        check(&Record { key: b"no key".to_vec(), ..good.clone() }, false);
        check(&Record { values: b"x".to_vec(), ..good.clone() }, false);
        check(&Record { status: 404, ..good.clone() }, false);
        check(&Record { age_ms: 60_000, ..good.clone() }, false);
        check(&Record { age_ms: u64::MAX, arrived_ms: u64::MAX, ..good }, false);
        for line in
            ["x: y\r\n\r\n", "set-cookie: a\r\n", "age: 1\r\n", "x-alongside-key: a\r\n", "content-length: 4\r\n", "no"]
        {
            check(&record(&format!("{HEAD}{line}")), false);
        }
        check(&record("HTTP/1.1 200 OK\r\n"), false);
        check(&record("HTTP/1.1 200 OK\r\ncache-control: no-store, max-age=60\r\n"), false);
        check(&record(""), false);
    }

    #[test]
    fn a_variant_is_found_by_those_it_was_made_for() {
        let store = Store::new(1 << 20, None);
        let mut sent = record("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nvary: accept\r\n");
        let fields = [httparse::Header { name: "accept", value: b"b" }];
        let names = vary::names(Fields(&[httparse::Header { name: "vary", value: b"accept" }])).unwrap();
        vary::key(&names, Fields(&fields), &mut sent.values);
        assert!(!is_stored(&store, &receiver(&store), &sent));
        assert!(matches!(store.find(&sent.key, Fields(&fields), &mut Vec::new()), Found::Object(_)));
    }

    #[test]
    fn a_purge_meanwhile_wins() {
        let store = Store::new(1 << 20, None);
        let receiver = receiver(&store);
        store.purge(&Url { scheme: "http", host: b"a", target: b"/x" });
        assert!(!is_stored(&store, &receiver, &record(HEAD)));
    }

    #[test]
    fn a_purge_before_wins_over_a_sibling_that_missed_it() {
        let store = Store::new(1 << 20, None);
        let receiver = receiver(&store);
        let sent = Record { age_ms: 5_000, arrived_ms: 5_000, ..record(HEAD) };
        receiver.purged.note(key::url(&sent.key), receiver.clock.now_ms() - 2_000);
        assert!(!is_stored(&store, &receiver, &sent));
        assert!(is_stored(&store, &receiver, &Record { age_ms: 1_000, arrived_ms: 1_000, ..sent }));
    }

    #[test]
    fn what_is_newer_stays_and_ages_go_on() {
        let store = Store::new(1 << 20, None);
        let receiver = receiver(&store);
        let sent = Record { arrived_ms: 5_000, age_ms: 7_000, ..record(HEAD) };
        assert!(is_stored(&store, &receiver, &sent));
        let Found::Object(object) = store.find(&sent.key, Fields(&[]), &mut Vec::new()) else { panic!() };
        let now_ms = receiver.clock.now_ms();
        assert!((7_000..9_000).contains(&object.meta().age_now_ms(now_ms)));
        assert!((5_000..7_000).contains(&(now_ms - object.meta().arrived_ms)));
        let older = Record { arrived_ms: 50_000, age_ms: 50_000, ..record(HEAD) };
        assert!(is_stored(&store, &receiver, &older));
        let Found::Object(object) = store.find(&sent.key, Fields(&[]), &mut Vec::new()) else { panic!() };
        assert!(object.meta().age_now_ms(now_ms) < 20_000);
    }
}
