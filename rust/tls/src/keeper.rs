//! All that one listener follows: pairs, and what clients are verified with; reloaded by content, and served as a whole.

use crate::choice::{Asking, Choice, Names, Twins};
use crate::config;
use crate::files::{Fault, Part, Reason};
use crate::followed::{Followed, Found};
use crate::metrics::{ACME, CLIENTS, ListenerMetrics, Reload};
use crate::pair::{Pair, Place};
use crate::tickets::Tickets;
use crate::verify;
use alongside_document::{ClientMode, Clients, Problem, Tls};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A certificate that is followed.
struct Source {
    name: String,
    place: Place,
    /// It may be missing: somebody gets it from an authority.
    is_awaited: bool,
    pair: Followed<Pair>,
}

/// What verifies clients, as it is followed.
type Verifier = Followed<Arc<dyn ClientCertVerifier>>;

/// What is followed, under one lock of the control side.
struct Followeds {
    sources: Vec<Source>,
    verifier: Verifier,
    open: Option<Arc<Tickets>>,
    asking: Option<Arc<Tickets>>,
}

/// All that one listener follows.
pub struct Keeper {
    listener: String,
    tls: Tls,
    provider: Arc<CryptoProvider>,
    pub asking: Asking,
    pub metrics: ListenerMetrics,
    followeds: Mutex<Followeds>,
    serving: ArcSwap<Serving>,
}

/// What handshakes are served with.
pub struct Serving {
    choice: Choice,
    shown: HashMap<Twins, Shown>,
    pub verifier: Option<Arc<dyn ClientCertVerifier>>,
}

/// A certificate as it is shown, or twins.
struct Shown {
    open: Arc<ServerConfig>,
    asking: Option<Arc<ServerConfig>>,
}

impl Serving {
    /// Returns the configuration for a client that asks for `host`; `None`: nothing is for it.
    pub fn config(
        &self,
        host: Option<&str>,
        local: Option<std::net::IpAddr>,
        is_asked: bool,
    ) -> Option<&Arc<ServerConfig>> {
        let shown = self.shown.get(self.choice.choose(host, local)?)?;
        // Who is to be asked is never served without being asked.
        if is_asked { shown.asking.as_ref() } else { Some(&shown.open) }
    }

    /// Whether there is any certificate.
    pub fn has_any(&self) -> bool {
        !self.shown.is_empty()
    }
}

impl Keeper {
    /// Reads all files; what `before` has in force of the same files is taken over where they are not good now, and so are
    /// its tickets where nothing changed for who has them.
    ///
    /// # Errors
    /// Every problem, with its path below the document's `tls`.
    pub fn open(
        listener: &str,
        tls: &Tls,
        before: Option<&Keeper>,
        metrics: ListenerMetrics,
        now_s: i64,
    ) -> Result<Self, Vec<Problem>> {
        let provider = config::provider();
        let mut problems = Vec::new();
        let mut sources = Vec::new();
        for (number, certificate) in tls.certificates.iter().enumerate() {
            let (name, place) = (certificate.name.to_string(), Place::from(certificate));
            let old = before.and_then(|before| before.pair_of(&name, &place));
            match first_pair(&place, old, &provider, now_s) {
                Ok(pair) => sources.push(Source { name, place, is_awaited: false, pair }),
                Err(mut fault) => {
                    // Where the document names no key of its own, its file is the path's.
                    if certificate.key.is_none() && fault.part == Part::Key {
                        fault.part = Part::Chain;
                    }
                    problems.push(problem(&format!("certificates[{number}]"), &fault));
                }
            }
        }
        sources.extend(tls.acme.as_ref().map(|acme| {
            let place = Place { path: acme.folder.as_path().to_owned(), key: None, staple: None };
            let old = before.and_then(|before| before.pair_of(ACME, &place));
            let pair = first_pair(&place, old, &provider, now_s).unwrap_or_default();
            Source { name: ACME.to_owned(), place, is_awaited: true, pair }
        }));
        let verifier = tls.clients.as_ref().map(|clients| first_verifier(clients, before, &provider)).transpose();
        let verifier = verifier.map_err(|fault| problems.push(problem("clients", &fault))).ok().flatten();
        if !problems.is_empty() {
            return Err(problems);
        }
        let followeds = tickets(tls, before, sources, verifier.unwrap_or_default());
        let serving = serving(tls, &followeds, &provider)
            .map_err(|error| vec![Problem::new("version_min", error.to_string(), "name another version")])?;
        let keeper = Self {
            listener: listener.to_owned(),
            tls: tls.clone(),
            provider,
            asking: asking(tls.clients.as_ref()),
            metrics,
            followeds: Mutex::new(followeds),
            serving: ArcSwap::from_pointee(serving),
        };
        keeper.show();
        keeper.refresh_metrics(now_s);
        Ok(keeper)
    }

    fn lock(&self) -> MutexGuard<'_, Followeds> {
        self.followeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pair_of(&self, name: &str, place: &Place) -> Option<Followed<Pair>> {
        let followeds = self.lock();
        let source = followeds.sources.iter().find(|source| source.name == name && source.place == *place)?;
        Some(Followed::like(&source.pair))
    }

    /// Shows what it follows in the metrics from the beginning, and says what is left out.
    fn show(&self) {
        let followeds = self.lock();
        for source in &followeds.sources {
            self.metrics.show(&source.name, source.pair.is_stale());
            self.tell_unstapled(source);
        }
        if self.tls.clients.is_some() {
            self.metrics.show(CLIENTS, followeds.verifier.is_stale());
        }
    }

    /// Returns what handshakes are served with now.
    pub fn serving(&self) -> arc_swap::Guard<Arc<Serving>> {
        self.serving.load()
    }

    /// Whether clients that are asked must show a certificate.
    pub fn is_required(&self) -> bool {
        self.tls.clients.as_ref().is_some_and(|clients| clients.mode == ClientMode::Required)
    }

    /// Returns all files that are followed.
    pub fn paths(&self) -> Vec<PathBuf> {
        let followeds = self.lock();
        let clients = self.tls.clients.iter().flat_map(verify::paths);
        followeds.sources.iter().flat_map(|source| source.place.paths()).chain(clients).collect()
    }

    /// Looks at all files, takes what is new and good, and says what is not; returns whether it should look again soon,
    /// since somebody may be writing. The time is in milliseconds since 1970. It reads files, and so belongs on the control side.
    pub fn look(&self, now_ms: i64) -> bool {
        let mut followeds = self.lock();
        let Followeds { sources, verifier, open, asking } = &mut *followeds;
        let (mut is_new, mut is_doubtful) = (false, false);
        for source in sources {
            let found = look_at(source, &self.provider, now_ms);
            self.tell_certificate(source, &found);
            is_new |= found == Found::Taken || self.leaves_staple(source, now_ms / 1000);
            is_doubtful |= found == Found::Doubtful;
        }
        if let Some(clients) = &self.tls.clients {
            let files = verify::Files::read(clients);
            let digest = files.as_ref().map(verify::Files::digest).map_err(Clone::clone);
            let found = verifier.look(now_ms, digest, || {
                files.and_then(|files| verify::verifier(&files, clients.mode, &self.provider))
            });
            self.tell_clients(&found);
            is_doubtful |= found == Found::Doubtful;
            if found == Found::Taken {
                // Who was let in by the old rules is to be judged by the new ones.
                *asking = new_tickets(&self.tls);
                is_new = true;
            }
        }
        [&*open, &*asking].into_iter().flatten().for_each(|tickets| tickets.rotate());
        if is_new {
            match serving(&self.tls, &followeds, &self.provider) {
                Ok(serving) => self.serving.store(Arc::new(serving)),
                Err(error) => tracing::error!(event = "tls_failed", listener = self.listener, error = %error),
            }
        }
        is_doubtful
    }

    fn tell_certificate(&self, source: &Source, found: &Found) {
        let (listener, certificate) = (&*self.listener, &*source.name);
        match found {
            Found::Same | Found::Doubtful => {}
            Found::Taken => {
                let Some(pair) = source.pair.get() else { return };
                let (names, expires_s) = (pair.holds.names.join(","), pair.expires_s);
                tracing::info!(event = "certificate_taken", listener, certificate, names, expires_s);
                self.tell_unstapled(source);
            }
            Found::Refused(reason) => tracing::warn!(event = "certificate_refused", listener, certificate, reason),
            Found::GoodAgain => tracing::info!(event = "certificate_good_again", listener, certificate),
        }
        self.count(certificate, found);
    }

    fn tell_unstapled(&self, source: &Source) {
        if let Some(reason) = source.pair.get().and_then(|pair| pair.unstapled.as_ref()) {
            let (listener, certificate) = (&*self.listener, &*source.name);
            tracing::warn!(event = "staple_left_out", listener, certificate, reason = %reason);
        }
    }

    /// Leaves out an OCSP answer in force whose time is over, where bad files keep its successor away; returns whether it did.
    fn leaves_staple(&self, source: &mut Source, now_s: i64) -> bool {
        let Some(pair) = source.pair.get() else { return false };
        let Some(reason) = pair.old_staple(now_s) else { return false };
        let path = source.place.staple.clone().unwrap_or_default();
        let worn = pair.without_staple(Fault { part: Part::Staple, path, reason });
        source.pair.wear(worn);
        self.tell_unstapled(source);
        true
    }

    fn tell_clients(&self, found: &Found) {
        let listener = &*self.listener;
        match found {
            Found::Same | Found::Doubtful => {}
            Found::Taken => tracing::info!(event = "clients_taken", listener),
            Found::Refused(reason) => tracing::warn!(event = "clients_refused", listener, reason),
            Found::GoodAgain => tracing::info!(event = "clients_good_again", listener),
        }
        self.count(CLIENTS, found);
    }

    fn count(&self, certificate: &str, found: &Found) {
        match found {
            Found::Same | Found::Doubtful => return,
            Found::Taken => self.metrics.reload(certificate, Reload::Taken),
            Found::Refused(_) => self.metrics.reload(certificate, Reload::Refused),
            Found::GoodAgain => {}
        }
        self.metrics.stale(certificate, matches!(found, Found::Refused(_)));
    }

    /// Returns each certificate's name, and how long it is good for in seconds; less than 0 where it is over.
    pub fn expiry_s(&self, now_s: i64) -> Vec<(String, i64)> {
        let followeds = self.lock();
        let of = |source: &Source| Some((source.name.clone(), source.pair.get()?.expires_s - now_s));
        followeds.sources.iter().filter_map(of).collect()
    }

    /// Brings the metrics up to date that change by themselves.
    pub fn refresh_metrics(&self, now_s: i64) {
        self.expiry_s(now_s).iter().for_each(|(name, seconds)| self.metrics.expiry(name, *seconds));
    }

    /// Tells whether every certificate is there, and good for long enough.
    pub fn is_ready(&self, now_s: i64) -> Result<(), String> {
        let followeds = self.lock();
        let left_min_s = self.tls.ready_expiry_s.map(i64::from);
        for source in &followeds.sources {
            let name = &source.name;
            let Some(pair) = source.pair.get() else {
                return Err(format!("listener {:?} has no certificate {name:?} yet", self.listener));
            };
            let left_s = pair.expires_s - now_s;
            if left_min_s.is_some_and(|least| left_s < least) {
                return Err(format!("listener {:?}: certificate {name:?} expires in {left_s} s", self.listener));
            }
        }
        Ok(())
    }
}

fn look_at(source: &mut Source, provider: &CryptoProvider, now_ms: i64) -> Found {
    let files = source.place.read();
    if source.is_awaited && source.pair.get().is_none() && is_absent(&files) {
        return Found::Same;
    }
    let now_s = now_ms / 1000;
    let digest = files.as_ref().map(|files| files.digest(now_s)).map_err(Clone::clone);
    source.pair.look(now_ms, digest, || files.and_then(|files| Pair::check(&files, provider, now_s)))
}

const fn is_absent<T>(files: &Result<T, Fault>) -> bool {
    matches!(files, Err(Fault { reason: Reason::Absent, .. }))
}

/// Returns the first pair of a place: a good one, or the one in force before.
fn first_pair(
    place: &Place,
    old: Option<Followed<Pair>>,
    provider: &CryptoProvider,
    now_s: i64,
) -> Result<Followed<Pair>, Fault> {
    let good = place.read().and_then(|files| {
        let pair = Pair::check(&files, provider, now_s)?;
        Ok((files.digest(now_s), pair))
    });
    match (good, old) {
        (Ok((_, Pair { unstapled: Some(fault), .. })), None) if !fault.reason.is_of_its_time() => Err(fault),
        (Ok((digest, pair)), _) => Ok(Followed::new(digest, pair)),
        (Err(_), Some(old)) if old.get().is_some() => Ok(old),
        (Err(fault), _) => Err(fault),
    }
}

/// Returns the first verifier: a good one, or the one in force before.
fn first_verifier(
    clients: &Clients,
    before: Option<&Keeper>,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, Fault> {
    let good = verify::Files::read(clients).and_then(|files| {
        let verifier = verify::verifier(&files, clients.mode, provider)?;
        Ok(Followed::new(files.digest(), verifier))
    });
    let old = before.filter(|before| before.tls.clients.as_ref() == Some(clients));
    match (good, old.map(|before| Followed::like(&before.lock().verifier))) {
        (Err(_), Some(old)) if old.get().is_some() => Ok(old),
        (good, _) => good,
    }
}

fn new_tickets(tls: &Tls) -> Option<Arc<Tickets>> {
    (tls.session_s > 0).then(|| Arc::new(Tickets::new(tls.session_s)))
}

/// Puts together what is followed, with the tickets of before where they are still good for the same.
fn tickets(tls: &Tls, before: Option<&Keeper>, sources: Vec<Source>, verifier: Verifier) -> Followeds {
    let mut followeds = Followeds { sources, verifier, open: new_tickets(tls), asking: new_tickets(tls) };
    if let Some(before) = before.filter(|before| before.tls.session_s == tls.session_s) {
        let old = before.lock();
        followeds.open.clone_from(&old.open);
        if before.tls.clients == tls.clients && old.verifier.digest() == followeds.verifier.digest() {
            followeds.asking.clone_from(&old.asking);
        }
    }
    followeds
}

fn asking(clients: Option<&Clients>) -> Asking {
    match clients {
        None => Asking::Nobody,
        Some(clients) if clients.hosts.is_empty() => Asking::Everybody,
        Some(clients) => {
            let mut hosts = Names::default();
            clients.hosts.iter().for_each(|host| *hosts.add(host.as_str()) = ());
            Asking::Hosts(hosts)
        }
    }
}

fn serving(tls: &Tls, followeds: &Followeds, provider: &Arc<CryptoProvider>) -> Result<Serving, rustls::Error> {
    let open = config::template(tls, provider, None, followeds.open.as_ref())?;
    let verifier = followeds.verifier.get().map(Arc::clone);
    let verifier: Option<Arc<dyn ClientCertVerifier>> = verifier.map(|it| Arc::clone(&*it));
    let asking = verifier
        .clone()
        .map(|verifier| config::template(tls, provider, Some(verifier), followeds.asking.as_ref()))
        .transpose()?;
    let sources = &followeds.sources;
    let pair = |number: usize| sources.get(number)?.pair.get();
    let held: Vec<_> = (0..sources.len()).filter_map(|number| Some((number, &pair(number)?.holds))).collect();
    let default = tls.default.as_ref().and_then(|name| sources.iter().position(|source| *source.name == **name));
    let choice = Choice::new(&held, default, sources.len() == 1);
    let shown = |twins: &Twins| {
        // Who awaits a certificate is shown no other one.
        let pairs: Option<Vec<_>> = twins.iter().map(|&number| Some(Arc::clone(&pair(number)?.certified))).collect();
        let asking = asking.as_ref().zip(pairs.clone()).map(|(template, pairs)| config::showing(template, pairs));
        Some((twins.clone(), Shown { open: config::showing(&open, pairs?), asking }))
    };
    Ok(Serving { shown: choice.all().filter_map(shown).collect(), choice, verifier })
}

/// Says a fault as a problem of the document, below `at`.
fn problem(at: &str, fault: &Fault) -> Problem {
    let field = match fault.part {
        Part::Chain => "path",
        Part::Key => "key",
        Part::Staple => "staple",
        Part::Authorities => "authorities",
        Part::Revoked => "revoked",
    };
    Problem::new(format!("{at}.{field}"), fault.to_string(), fault.reason.remedy())
}
