//! Who orders for one listener: it waits until an order is due, lets one at a time order, and shows answers meanwhile.

use crate::challenges::{Answers, Shown};
use crate::client::Client;
use crate::failure::Failure;
use crate::metrics::{Metrics, Outcome};
use crate::order::{Issued, Ordering};
use crate::schedule::{self, Held, Tries, Window};
use crate::store::{Kept, Store};
use alongside_document::{Acme, Problem};
use alongside_tls::Acceptor;
use alongside_transport::watch::Watch;
use instant_acme::{Account, CertificateIdentifier};
use rustls_pki_types::CertificateDer;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{self, AtomicI64};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;

/// How often it looks even if nothing was noticed: the clock may have been set.
const LOOK: Duration = Duration::from_secs(30);
/// How often it looks while somebody else orders.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// How long a whole order may take.
const ORDER_TIMEOUT: Duration = Duration::from_secs(600);
/// How long the authority may take to say when it would like a renewal, whose word is not waited for.
const ADVICE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two questions when a renewal is wished: where there was no answer, and the shortest and longest.
const ADVICE_S: i64 = 21_600;
const ADVICE_MIN_S: i64 = 60;
const ADVICE_MAX_S: i64 = 86_400;

/// Who orders for one listener.
pub struct Issuer {
    listener: String,
    acme: Acme,
    domains: BTreeSet<String>,
    store: Store,
    client: Client,
    metrics: Metrics,
    seed: u64,
    /// When the next order is due, as of the last look; before that, never.
    next_s: AtomicI64,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Issuer")
    }
}

/// What is remembered from look to look.
#[derive(Default)]
struct Memory {
    /// The same as in the folder, for when that cannot be written.
    tries: Tries,
    advice: Option<Advice>,
    told: Option<(Outcome, String)>,
}

/// When the authority would like a renewal, of which certificate.
struct Advice {
    leaf: CertificateDer<'static>,
    window: Option<Window>,
    ask_again_s: i64,
}

impl Issuer {
    /// Returns who orders for a listener, with its folder made and its authorities read; it asks nobody yet.
    ///
    /// # Errors
    /// Every problem, with paths below the document's `tls`, such as `acme.folder`.
    pub fn open(listener: &str, acme: &Acme, metrics: &Metrics) -> Result<Arc<Self>, Vec<Problem>> {
        let folder = acme.folder.as_path();
        let store = Store::open(folder).map_err(|error| {
            let what = format!("{} cannot be used: {error}", folder.display());
            Problem::new("acme.folder", what, "name a folder that this process's user can write")
        });
        let authorities = acme.authorities.as_ref().map(|path| path.as_path());
        let client = Client::new(authorities).map_err(|why| {
            let what = authorities.map_or_else(|| "the system's authorities".to_owned(), |it| it.display().to_string());
            let remedy = "name a PEM file with the authorities that the directory's certificate comes from";
            Problem::new("acme.authorities", format!("{what} cannot be used: {why}"), remedy)
        });
        let (store, client) = match (store, client) {
            (Ok(store), Ok(client)) => (store, client),
            (store, client) => return Err([store.err(), client.err()].into_iter().flatten().collect()),
        };
        metrics.show(listener);
        Ok(Arc::new(Self {
            listener: listener.to_owned(),
            acme: acme.clone(),
            domains: acme.domains.iter().map(|domain| domain.as_str().to_ascii_lowercase()).collect(),
            store,
            client,
            metrics: metrics.clone(),
            seed: RandomState::new().hash_one(listener),
            next_s: AtomicI64::new(i64::MAX),
        }))
    }

    /// Orders when it is due, for ever; pairs are told to `acceptor`, which shows answers as `answers` does. End it when
    /// another one takes its place. It reads and writes files, and so belongs on the control side.
    pub async fn run(self: Arc<Self>, acceptor: Arc<Acceptor>, answers: Arc<dyn Answers>) {
        let mut shown = Shown::new(self.acme.challenge, Arc::clone(&acceptor), answers);
        let mut memory = Memory::default();
        let changed = Arc::new(Notify::new());
        let mut watch = Watch::new(self.store.paths(), &changed);
        loop {
            watch.renew();
            self.follow(&mut shown);
            let wait = self.step(&acceptor, &mut shown, &mut memory).await;
            watch.changed(wait).await;
        }
    }

    /// Brings the metrics up to date that change by themselves, before they are shown.
    pub fn refresh_metrics(&self) {
        let next_s = self.next_s.load(atomic::Ordering::Relaxed);
        if next_s != i64::MAX {
            self.metrics.next(&self.listener, (next_s - now_s()).max(0));
        }
    }

    /// Shows what another process wants to be shown that orders now.
    fn follow(&self, shown: &mut Shown) {
        let mut due = self.store.due();
        if !due.is_empty() && matches!(self.store.try_lock(), Ok(Some(_))) {
            // Nobody orders: somebody died over it.
            let _ = self.store.announce(&[]);
            due.clear();
        }
        if let Err(reason) = shown.set(&due) {
            tracing::warn!(event = "acme_answers_not_shown", listener = self.listener, reason);
        }
    }

    /// Orders if it is due; returns when to look again.
    async fn step(&self, acceptor: &Acceptor, shown: &mut Shown, memory: &mut Memory) -> Duration {
        let kept = self.store.kept(&self.domains);
        self.ask_for_advice(kept.as_ref(), memory).await;
        let left_s = self.left_s(kept.as_ref(), memory);
        if left_s > 0 {
            return Duration::from_secs(left_s.unsigned_abs()).min(LOOK);
        }
        match self.store.try_lock() {
            Ok(Some(_lock)) => {
                // Somebody else may have got it since.
                let kept = self.store.kept(&self.domains);
                if self.left_s(kept.as_ref(), memory) <= 0 {
                    self.order(kept, (acceptor, shown), memory).await;
                }
                Duration::ZERO
            }
            Ok(None) => LOOK_SOON,
            Err(error) => {
                let tries = self.begun(memory);
                let failure = Failure::new(Outcome::Failed, format!("the folder cannot be locked: {error}"));
                self.fail(&failure, tries, memory);
                LOOK
            }
        }
    }

    /// Returns in how many seconds the next order is due.
    fn left_s(&self, kept: Option<&Kept>, memory: &Memory) -> i64 {
        let held: Option<&Held> = kept.map(|kept| &kept.held);
        let advice = memory.advice.as_ref().filter(|advice| kept.is_some_and(|kept| kept.leaf == advice.leaf));
        let seed = self.seed ^ held.map_or(0, |held| held.begins_s.unsigned_abs());
        let (now_s, tries) = (now_s(), self.tries(memory));
        let next_s = schedule::next_s(now_s, held, advice.and_then(|advice| advice.window), &tries, seed);
        self.next_s.store(next_s, atomic::Ordering::Relaxed);
        next_s - now_s
    }

    fn tries(&self, memory: &Memory) -> Tries {
        let noted = self.store.tries(self.acme.directory.as_str(), &self.domains);
        if noted.tried_s >= memory.tries.tried_s { noted } else { memory.tries }
    }

    /// Returns the tries with one more.
    fn begun(&self, memory: &Memory) -> Tries {
        let count = self.tries(memory).count.saturating_add(1);
        Tries { count, tried_s: now_s(), not_before_s: None }
    }

    async fn order(&self, before: Option<Kept>, (acceptor, shown): (&Acceptor, &mut Shown), memory: &mut Memory) {
        let tries = self.begun(memory);
        let result = match self.note(&tries) {
            // Whoever dies over it does not begin again at once.
            Ok(()) => self.issue(before, shown).await,
            Err(failure) => Err(failure),
        };
        let _ = shown.set(&[]);
        let _ = self.store.announce(&[]);
        match result {
            Ok(kept) => {
                let _ = self.note(&Tries::default());
                (memory.tries, memory.told) = (Tries::default(), None);
                self.metrics.order(&self.listener, Outcome::Done);
                acceptor.look_now();
                let names = self.domains.iter().map(String::as_str).collect::<Vec<_>>().join(",");
                let expires_s = kept.held.ends_s;
                tracing::info!(event = "acme_certificate_got", listener = self.listener, names, expires_s);
            }
            Err(failure) => self.fail(&failure, tries, memory),
        }
    }

    async fn issue(&self, before: Option<Kept>, shown: &mut Shown) -> Result<Kept, Failure> {
        let replaces =
            before.and_then(|kept| CertificateIdentifier::try_from(&kept.leaf).ok().map(|it| it.into_owned()));
        let ordered = tokio::time::timeout(ORDER_TIMEOUT, self.ordering().order(shown, replaces)).await;
        let too_late = |_| Failure::new(Outcome::Failed, "the order did not come to its end in time");
        let Issued { chain, key } = ordered.map_err(too_late).flatten()?;
        let failed = |why: String| Failure::new(Outcome::Failed, format!("the certificate cannot be kept: {why}"));
        self.store.install(chain.as_bytes(), key.as_bytes()).map_err(|error| failed(error.to_string()))?;
        self.store.kept(&self.domains).ok_or_else(|| failed("it is not there".to_owned()))
    }

    fn ordering(&self) -> Ordering<'_> {
        let (listener, acme, domains) = (&*self.listener, &self.acme, &self.domains);
        Ordering { listener, acme, domains, store: &self.store, client: &self.client }
    }

    fn note(&self, tries: &Tries) -> Result<(), Failure> {
        let noted = self.store.note(self.acme.directory.as_str(), &self.domains, tries);
        noted.map_err(|error| Failure::new(Outcome::Failed, format!("the folder cannot be written: {error}")))
    }

    /// Notes a failure, and says it once.
    fn fail(&self, failure: &Failure, tries: Tries, memory: &mut Memory) {
        memory.tries = Tries { not_before_s: failure.not_before_s, ..tries };
        let _ = self.note(&memory.tries);
        self.metrics.order(&self.listener, failure.outcome);
        let told = (failure.outcome, failure.reason.clone());
        if memory.told.as_ref() != Some(&told) {
            let (outcome, reason) = (failure.outcome.as_str(), &*failure.reason);
            let again_s = self.left_s(self.store.kept(&self.domains).as_ref(), memory);
            tracing::warn!(event = "acme_order_failed", listener = self.listener, outcome, reason, again_s);
        }
        memory.told = Some(told);
    }

    /// Asks when the authority would like a certificate to be renewed, if it is time to ask.
    async fn ask_for_advice(&self, kept: Option<&Kept>, memory: &mut Memory) {
        let Some(kept) = kept.filter(|kept| kept.held.is_wanted) else { return };
        let (known, now_s) = (memory.advice.as_ref().filter(|advice| advice.leaf == kept.leaf), now_s());
        if known.is_some_and(|advice| advice.ask_again_s > now_s && advice.ask_again_s <= now_s + ADVICE_MAX_S) {
            return;
        }
        let before = known.and_then(|advice| advice.window);
        let told = tokio::time::timeout(ADVICE_TIMEOUT, self.advice(&kept.leaf)).await.ok().flatten();
        let (window, again_s) = told.map_or((before, ADVICE_S), |(window, again_s)| (Some(window), again_s));
        let ask_again_s = now_s + again_s.clamp(ADVICE_MIN_S, ADVICE_MAX_S);
        memory.advice = Some(Advice { leaf: kept.leaf.clone(), window, ask_again_s });
    }

    /// Returns the authority's wish and in how many seconds to ask again; nothing where it has none, or is not there.
    async fn advice(&self, leaf: &CertificateDer<'static>) -> Option<(Window, i64)> {
        let kept = self.store.account(self.acme.directory.as_str())?;
        let builder = Account::builder_with_http(Box::new(self.client.clone()));
        let account = builder.from_credentials(kept.credentials).await.ok()?;
        let (told, again) = account.renewal_info(&CertificateIdentifier::try_from(leaf).ok()?).await.ok()?;
        let window = told.suggested_window;
        let window = Window { start_s: window.start.unix_timestamp(), end_s: window.end.unix_timestamp() };
        Some((window, i64::try_from(again.as_secs()).unwrap_or(i64::MAX)))
    }
}

fn now_s() -> i64 {
    crate::seconds(SystemTime::now())
}
