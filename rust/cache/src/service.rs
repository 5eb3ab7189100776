//! The cache: what is decided of a request while its head is at hand.

use crate::answer::{self, Part, Says};
use crate::asker::{Asker, Sent};
use crate::between::{self, Question};
use crate::clock::Clock;
use crate::flight::{Board, FetchError};
use crate::key::{self, Url};
use crate::meeting::{Meeting, Siblings};
use crate::metrics::{CacheMetrics, Metrics};
use crate::object::Object;
use crate::purged::Purged;
use crate::purges;
use crate::reply::Reply;
use crate::store::{Found, Store};
use crate::terms;
use crate::warmup::{self, Warmup};
use alongside_http::Arrival;
use alongside_http::link::Upstream;
use alongside_policy::caching::vary::{self, VaryNames};
use alongside_policy::caching::{
    Bypass, CacheStatus, Fields, Forward, Lookup, Outcome, Request, Serve, State, conditional, lookup, state,
};
use alongside_policy::origins;
use alongside_protocols::{Body, RequestHead};
use alongside_transport::{buffer, deadline};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

/// How long requests for what may not be shared do not wait for one another.
const PASS_MS: u64 = 10_000;

/// Keys that are remembered so.
const PASSES_MAX: usize = 8192;

/// What is kept of an origin's answers.
#[derive(Debug)]
pub struct Cache {
    name: String,
    host: Option<String>,
    /// Address and host of the origin, as siblings name it to each other.
    pub(crate) source: Arc<str>,
    pub(crate) store: Arc<Store>,
    pub(crate) origin: Arc<Upstream>,
    pub(crate) metrics: CacheMetrics,
    pub(crate) clock: Clock,
    pub(crate) board: Board,
    pub(crate) siblings: Siblings,
    pub(crate) warmup: Arc<Warmup>,
    pub(crate) purged: Arc<Purged>,
    /// Bytes in all, bytes of one object.
    sizes: (u64, u64),
    /// What a warm-up may take.
    warm_bytes_per_s: Option<u64>,
    /// Hash of a key to the time until which each request for it has a flight of its own.
    passes: quick_cache::sync::Cache<u64, u64>,
    hasher: RandomState,
}

/// What was decided of a request; the output holds the head that goes with it.
#[derive(Debug)]
pub enum Planned {
    /// Answered from the store; the output is the answer's head, without its end.
    Stored {
        /// What is answered.
        object: Arc<Object>,
        /// The status.
        status: u16,
        /// Which bytes follow.
        part: Part,
    },
    /// To be fetched for the store; the output is the origin's head, without its end.
    Fetch(Box<Wanted>),
    /// Passed on as it is; the output is the origin's whole head.
    Pass {
        /// The key whose URL is forgotten if the origin accepts an unsafe method.
        invalidates: Option<Vec<u8>>,
        /// What the store had for it.
        why: Forward,
        /// Why it is not fetched for the store.
        detail: Bypass,
    },
    /// The client wants it only if it is stored, and it is not.
    Unavailable,
    /// A question of one of ours, answered at once.
    Reply(Reply),
    /// One of ours wants what is stored.
    Warm {
        /// Its node id.
        asked_by: String,
    },
}

/// A sibling that asks for all of a shard.
#[derive(Debug, Clone)]
pub struct AskedBy {
    /// Its node id.
    pub id: Arc<str>,
    /// When its question came.
    pub began_ms: u64,
}

/// A request that the store could not answer.
#[derive(Debug)]
pub struct Wanted {
    /// The store's key.
    pub key: Vec<u8>,
    /// The question: requests with the same one may wait for each other.
    pub question: Option<Vec<u8>>,
    /// The client.
    pub asker: Asker,
    /// What is stored, and is to be confirmed.
    pub stale: Option<Arc<Object>>,
    /// Why the store could not answer.
    pub why: Forward,
    /// How siblings are asked; nothing where there are none.
    pub meeting: Option<Meeting>,
    /// The sibling that asks.
    pub asked_by: Option<AskedBy>,
}

/// A request during planning.
struct Asked<'a, 'h, 'b> {
    head: &'a RequestHead<'h, 'b>,
    request: Request<'a>,
    arrival: &'a Arrival<'a>,
    asked_by: Option<AskedBy>,
}

impl Cache {
    /// Returns a cache; what `before` holds stays if the origin is the same. [`Cache::begin`] puts it in force.
    #[must_use]
    pub fn new(
        document: &alongside_document::Cache,
        before: Option<&Arc<Self>>,
        (http, caches): (&alongside_http::metrics::Metrics, &Metrics),
    ) -> Self {
        let sizes = (document.memory_bytes, document.object_bytes_max());
        let address = document.origin.address.as_str();
        let host = document.origin.host.as_ref().map(|host| host.as_str().to_owned());
        let source = host.as_ref().map_or_else(|| address.to_owned(), |host| format!("{address} {host}"));
        let source: Arc<str> = origins::spelling(&source).into();
        // Another origin's pages are other pages.
        let is_same = |before: &Self| before.source == source;
        let keeps = |before: &Self| before.sizes == sizes || before.store.can_resize(sizes.0, Some(sizes.1));
        let kept = before.filter(|before| is_same(before) && keeps(before));
        let (store, warmup) = match kept {
            Some(before) => (Arc::clone(&before.store), Arc::clone(&before.warmup)),
            None => (Arc::new(Store::new(sizes.0, Some(sizes.1))), Arc::default()),
        };
        let metrics = caches.cache(&document.name);
        let clock = before.map_or_else(Clock::new, |before| before.clock);
        let make_origin = || Arc::new(Upstream::new(address, address, http.upstream(address)));
        let replica = document.replica.as_ref();
        let siblings = Siblings::new(replica, before.map(|before| &before.siblings), http, (clock, &metrics));
        Self {
            // Replicas of one cache are told apart in `Cache-Status`.
            name: token(replica.map_or(&document.name, |replica| &replica.id)),
            source,
            host,
            store,
            // What is under way there counts on.
            origin: before
                .filter(|before| before.origin.address == address)
                .map_or_else(make_origin, |before| Arc::clone(&before.origin)),
            metrics,
            clock,
            board: Board::default(),
            siblings,
            warmup,
            purged: kept.map_or_else(Arc::default, |before| Arc::clone(&before.purged)),
            sizes,
            warm_bytes_per_s: replica.and_then(|replica| replica.warm_bytes_per_s),
            passes: quick_cache::sync::Cache::new(PASSES_MAX),
            hasher: RandomState::new(),
        }
    }

    /// Puts it in force, when nothing can fail any more: gives a kept store its new size, and warms an empty one up.
    ///
    /// Called once, where the runtime is that lives as long as the process.
    pub fn begin(&self) {
        self.store.resize(self.sizes.0, Some(self.sizes.1));
        warmup::begin(self, self.warm_bytes_per_s);
    }

    /// Forgets what is held of a URL; returns how many answers that were.
    ///
    /// # Errors
    /// The text is no URL; says what one looks like.
    pub fn purge(&self, url: &str) -> Result<usize, String> {
        let parsed = Url::parse(url).ok_or_else(|| format!("{url:?} is no URL; write http://host/path?query"))?;
        let mut text = Vec::new();
        parsed.write(&mut text);
        self.purged.note(&text, self.clock.now_ms());
        Ok(self.store.purge(&parsed))
    }

    /// Forgets the URL of a key; returns how many answers that were.
    pub(crate) fn purge_key(&self, key: &[u8]) -> usize {
        self.purged.note(key::url(key), self.clock.now_ms());
        self.store.purge_key(key)
    }

    fn purge_all(&self) -> usize {
        self.purged.note_all(self.clock.now_ms());
        self.store.forget_all()
    }

    /// Brings the gauges up to date.
    pub fn refresh_metrics(&self) {
        let add = |(orders, bytes), more: (usize, usize)| (orders + more.0, bytes + more.1);
        let owed = self.siblings.all().iter().map(|sibling| sibling.purges.owed()).fold((0, 0), add);
        self.metrics.refresh(&self.store, self.warmup.warmth(self.clock.now_ms()), owed);
    }

    /// Decides, at once and without waiting.
    pub fn plan(&self, head: &RequestHead<'_, '_>, arrival: &Arrival<'_>, output: &mut Vec<u8>) -> Planned {
        let has_body = !matches!(head.body, Body::None | Body::Length(0));
        let is_upgrade = head.upgrade.is_some();
        let mut sent = Sent::new();
        sent.fill(head, arrival);
        let request = Request { method: head.method, fields: sent.fields(), has_body, is_upgrade };
        let mut asked_by = None;
        match Question::of(head, arrival) {
            None => {}
            // During a change of the origin: whoever asks goes on to where its document says.
            Some(Question::Meet) if !between::is_of_origin(head, &self.source) => {
                self.hear_from(head);
                return Planned::Reply(Reply::fault(FetchError::Unreachable).of_origin(&self.source));
            }
            Some(Question::Meet) => asked_by = Some(self.asked_by(head)),
            Some(question) => return self.reply(question, head, arrival),
        }
        let asked = Asked { head, request, arrival, asked_by };
        let mut key = buffer::take_output();
        write_key(head, arrival, &mut key);
        let planned = match lookup(&asked.request) {
            Lookup::Serve(serve) => self.plan_serve(&asked, &serve, &key, output),
            Lookup::Pass(bypass) => {
                let why = if bypass == Bypass::Method { Forward::Method } else { Forward::Bypass };
                self.count_forwarded(&asked, why);
                let is_safe = matches!(head.method, "GET" | "HEAD" | "OPTIONS");
                self.write_whole(&asked, output);
                Planned::Pass { invalidates: (!is_safe).then(|| key.clone()), why, detail: bypass }
            }
        };
        buffer::give_output(key);
        planned
    }

    fn plan_serve(&self, asked: &Asked<'_, '_, '_>, serve: &Serve, key: &[u8], output: &mut Vec<u8>) -> Planned {
        let mut room = buffer::take_output();
        // Whoever succeeds it is told what to forget by now; what is stored here may be old.
        let is_leaving = deadline::is_draining();
        let found = if is_leaving { Found::Miss } else { self.store.find(key, asked.request.fields, &mut room) };
        buffer::give_output(room);
        let (why, stale, names) = match found {
            Found::Object(object) => match state(object.meta(), object.validators(), serve, self.clock.now_ms()) {
                State::Fresh { age_s, ttl_s } => {
                    let status = CacheStatus { ttl_s: Some(ttl_s), ..self.status(Outcome::Hit) };
                    let says = Says { age_s, before: b"", status };
                    let (status, part) = answer::write(&object, &asked.request, &says, output);
                    if asked.asked_by.is_none() {
                        self.metrics.hit();
                    } else {
                        between::write_age(object.meta().age_now_ms(self.clock.now_ms()), 0, output);
                    }
                    return Planned::Stored { object, status, part };
                }
                State::Stale { forward, validators, .. } => {
                    let can_confirm = !validators.is_empty();
                    let names = vary::names(Fields(&object.fields()));
                    (forward, Some(object).filter(|_| can_confirm), names)
                }
                State::Withheld => (Forward::Miss, None, None),
            },
            Found::VaryMiss(names) => (Forward::VaryMiss, None, Some(names)),
            Found::Miss => (Forward::UriMiss, None, Some(VaryNames::default())),
        };
        self.count_forwarded(asked, why);
        if serve.only_if_cached {
            return Planned::Unavailable;
        }
        if let Some(detail) = serve.pass_on_miss {
            self.write_whole(asked, output);
            return Planned::Pass { invalidates: None, why, detail };
        }
        self.write_head(asked, &conditional::FIELDS, output);
        // Who need not wait for another's answer has no question in common with others.
        let names = names.filter(|_| !serve.is_authorized && !is_leaving && !self.is_passed(key));
        Planned::Fetch(Box::new(Wanted {
            key: key.to_vec(),
            question: names.map(|names| terms::question(key, &names, asked.request.fields)),
            asker: Asker::new(asked.request.fields),
            stale,
            why,
            meeting: self.meeting(asked, !serve.needs_validation),
            asked_by: asked.asked_by.clone(),
        }))
    }

    /// What siblings ask is a client's request already, and counted there.
    fn count_forwarded(&self, asked: &Asked<'_, '_, '_>, why: Forward) {
        if asked.asked_by.is_none() {
            self.metrics.forwarded(why);
        }
    }

    /// Returns how siblings are asked for the same.
    fn meeting(&self, asked: &Asked<'_, '_, '_>, takes_stored: bool) -> Option<Meeting> {
        if self.siblings.is_empty() {
            return None;
        }
        let is_inner = asked.arrival.is_inner;
        let forward = alongside_protocols::Forward {
            is_inner,
            key: is_inner.then(|| asked.head.field("x-alongside-key")).flatten(),
            without: &conditional::FIELDS,
            ..alongside_protocols::Forward::new(asked.arrival.peer)
        };
        let mut head = Vec::new();
        asked.head.write(&forward, &mut head);
        let asked_by = asked.asked_by.as_ref().map(|asked_by| Arc::clone(&asked_by.id));
        Some(Meeting { head: head.into(), asked_by, takes_stored })
    }

    fn asked_by(&self, head: &RequestHead<'_, '_>) -> AskedBy {
        AskedBy { id: self.hear_from(head).into(), began_ms: self.clock.now_ms() }
    }

    /// Returns who asks; a sibling that was left is there again if it does.
    fn hear_from(&self, head: &RequestHead<'_, '_>) -> String {
        let id = between::from(head);
        if let Some(sibling) = self.siblings.find(&id) {
            sibling.spoke();
        }
        id
    }

    /// Answers a question of one of ours.
    fn reply(&self, question: Question, head: &RequestHead<'_, '_>, arrival: &Arrival<'_>) -> Planned {
        let asked_by = self.hear_from(head);
        if question.forgets()
            && let Some(id) = between::meant(head)
        {
            return Planned::Reply(self.see_to(question, &id, head, arrival));
        }
        let (mut status, mut lines, mut body) = (200, Vec::new(), String::new());
        match question {
            Question::Warm if between::is_of_origin(head, &self.source) => return Planned::Warm { asked_by },
            Question::Warm => {
                status = 409;
                between::write_origin(&self.source, &mut lines);
                body = "409 Conflict: what is stored here is of another origin\n".to_owned();
            }
            Question::Probe => between::write_warmth(self.warmup.warmth(self.clock.now_ms()), &mut lines),
            Question::PurgeAll => body = between::write_purged(self.purge_all(), &mut lines),
            Question::Purge => {
                let mut key = buffer::take_output();
                write_key(head, arrival, &mut key);
                body = between::write_purged(self.purge_key(&key), &mut lines);
                buffer::give_output(key);
            }
            Question::Meet | Question::Unknown => {
                status = 400;
                body = "400 Bad Request: x-alongside-ask is probe, purge, purge-all, meet or warm\n".to_owned();
            }
        }
        if status == 200 && question.forgets() && deadline::is_draining() {
            // A successor on the same socket may hold it as well. Whoever asks again comes to that one.
            status = 503;
        }
        Planned::Reply(Reply { status, lines, body })
    }

    /// Promises that a sibling will be told what a router could not tell it.
    fn see_to(&self, question: Question, id: &str, head: &RequestHead<'_, '_>, arrival: &Arrival<'_>) -> Reply {
        let mut lines = Vec::new();
        let Some(sibling) = self.siblings.find(id) else {
            return Reply { status: 404, lines, body: format!("404 Not Found: no sibling here is {id:?}\n") };
        };
        // The list would end with this process.
        if deadline::is_draining() {
            return Reply { status: 503, lines, body: "503 Service Unavailable: this process ends\n".to_owned() };
        }
        if question == Question::PurgeAll {
            purges::tell_all(sibling);
        } else {
            let mut key = buffer::take_output();
            write_key(head, arrival, &mut key);
            purges::tell(sibling, &key);
            buffer::give_output(key);
        }
        let body = between::write_owed(&mut lines);
        Reply { status: 200, lines, body }
    }

    /// Orders that siblings have still to be told.
    #[must_use]
    pub fn untold(&self) -> usize {
        self.siblings.all().iter().map(|sibling| sibling.purges.open()).sum()
    }

    /// Drops what siblings have still to be told; says so where there was something.
    pub fn give_up(&self, reason: &str) {
        self.siblings.all().iter().for_each(|sibling| purges::give_up(sibling, reason));
    }

    /// Writes the head of a request that is passed on as it is.
    fn write_whole(&self, asked: &Asked<'_, '_, '_>, output: &mut Vec<u8>) {
        self.write_head(asked, &[], output);
        output.extend_from_slice(b"\r\n");
    }

    fn write_head(&self, asked: &Asked<'_, '_, '_>, without: &[&str], output: &mut Vec<u8>) {
        let forward = alongside_protocols::Forward {
            is_inner: asked.arrival.is_inner,
            host: self.host.as_deref().map(str::as_bytes),
            passes_expect: true,
            without,
            ..alongside_protocols::Forward::new(asked.arrival.peer)
        };
        asked.head.write(&forward, output);
        output.extend_from_slice(b"via: 1.1 alongside\r\n");
    }

    pub(crate) fn status(&self, outcome: Outcome) -> CacheStatus<'_> {
        CacheStatus::new(&self.name, outcome)
    }

    fn is_passed(&self, key: &[u8]) -> bool {
        self.passes.get(&self.hasher.hash_one(key)).is_some_and(|until_ms| self.clock.now_ms() < until_ms)
    }

    /// Remembers for a while that answers under this key are not shared.
    pub(crate) fn remember_pass(&self, key: &[u8]) {
        self.passes.insert(self.hasher.hash_one(key), self.clock.now_ms() + PASS_MS);
    }

    /// Notes that an answer under this key can be shared after all.
    pub(crate) fn forget_pass(&self, key: &[u8]) {
        let hash = self.hasher.hash_one(key);
        if self.passes.get(&hash).is_some() {
            self.passes.remove(&hash);
        }
    }
}

/// Appends the store's key of a request: its URL, and the key that placement hashed where a peer of ours sent one.
fn write_key(head: &RequestHead<'_, '_>, arrival: &Arrival<'_>, out: &mut Vec<u8>) {
    let (mut scheme, mut shard_key) = (arrival.peer.scheme, &b""[..]);
    if arrival.is_inner {
        shard_key = head.field("x-alongside-key").unwrap_or_default();
        match head.field("x-forwarded-proto") {
            Some(b"https") => scheme = "https",
            Some(b"http") => scheme = "http",
            _ => {}
        }
    }
    // As it is sent to the origin.
    let host = if head.authority.is_empty() { b"localhost" } else { head.authority };
    key::write(&Url { scheme, host, target: head.target }, shard_key, out);
}

/// Returns a name as `Cache-Status` can hold it: a token that begins with a letter, else a string.
fn token(name: &str) -> String {
    let is_token = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
    if is_token { name.to_owned() } else { format!("\"{}\"", name.replace(['"', '\\'], "_")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_cache_status_as_tokens_or_strings() {
        assert_eq!(token("photos-0"), "photos-0");
        assert_eq!(token("127.0.0.1:9001"), "\"127.0.0.1:9001\"");
        assert_eq!(token("a b\""), "\"a b_\"");
    }
}
