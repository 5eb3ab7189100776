//! A balancer: its backends, and the way from a client that came to one of them.

use crate::backend::{Backend, Open, View};
use crate::metrics::{BalancerMetrics, Metrics, Outcome};
use alongside_document::Tcp;
use alongside_policy::leave;
use alongside_policy::tries::{TRIES_MAX, Tries};
use alongside_transport::destination::is_own_fault;
use alongside_transport::{Deadline, random};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// What a document says of a balancer, but its backends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    attempts_max: usize,
    connect_timeout_ms: u64,
    leave: leave::Settings,
    /// How long both sides may be silent.
    pub idle_timeout_ms: Option<u64>,
    /// After how much silence the kernel asks whether a side is still there.
    pub keepalive: Option<Duration>,
}

/// A balancer as one document has it.
#[derive(Debug)]
pub struct Balancer {
    name: String,
    backends: Vec<Arc<Backend>>,
    /// Those of earlier documents that still have connections.
    former: Vec<Weak<Backend>>,
    pub(crate) terms: Terms,
    pub(crate) metrics: Arc<BalancerMetrics>,
}

impl Balancer {
    /// Returns a balancer that knows of backends that stay what the one before did, and counts on.
    #[must_use]
    pub fn new(document: &Tcp, before: Option<&Self>, metrics: &Metrics) -> Self {
        let backends: Vec<Arc<Backend>> = document
            .backends
            .iter()
            .map(|wanted| {
                let (id, address) = (wanted.id.as_str(), wanted.address.as_str());
                let known = before.and_then(|before| before.known(id, address));
                known.unwrap_or_else(|| Arc::new(Backend::new(id, address)))
            })
            .collect();
        let former = before.map(|before| before.without(&backends)).unwrap_or_default();
        let terms = Terms {
            attempts_max: (document.attempts_max as usize).min(TRIES_MAX),
            connect_timeout_ms: document.connect_timeout_ms,
            leave: leave::Settings { first_ms: document.left_ms, most_ms: document.left_ms_max },
            idle_timeout_ms: document.idle_timeout_ms,
            keepalive: document.keepalive_ms.map(Duration::from_millis),
        };
        let metrics = Arc::new(metrics.balancer(&document.name));
        Self { name: document.name.to_string(), backends, former, terms, metrics }
    }

    /// Returns the backend that is known by this id at this address.
    fn known(&self, id: &str, address: &str) -> Option<Arc<Backend>> {
        let is_it = |backend: &Arc<Backend>| backend.id == id && backend.destination.address() == address;
        self.backends.iter().find(|backend| is_it(backend)).cloned().or_else(|| {
            let back = self.former.iter().filter_map(Weak::upgrade).find(is_it)?;
            back.begin_anew();
            Some(back)
        })
    }

    /// Returns those of its backends, former ones too, that are not among others and have connections.
    fn without(&self, others: &[Arc<Backend>]) -> Vec<Weak<Backend>> {
        let mine = self.backends.iter().map(Arc::downgrade).chain(self.former.iter().cloned());
        mine.filter(|one| {
            let backend = one.upgrade();
            backend.is_some_and(|it| it.known().open > 0 && !others.iter().any(|other| Arc::ptr_eq(other, &it)))
        })
        .collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is nowhere to go.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.backends.is_empty()
    }

    /// How its backends stand now, in the document's order.
    #[must_use]
    pub fn view(&self) -> Vec<View> {
        self.backends.iter().map(|backend| backend.view()).collect()
    }

    /// Brings the metrics of its backends up to date.
    pub fn refresh_metrics(&self, metrics: &Metrics) {
        self.backends.iter().for_each(|backend| metrics.tell(&self.name, &backend.id, backend.told()));
    }

    /// Connects to one of the backends, to the next one where that fails, as often as may be.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<(TcpStream, Open), Outcome> {
        let began = Instant::now();
        self.look_at_those_due();
        let deadline = Deadline::new();
        let mut tries = Tries::new(self.backends.len(), random::next());
        let mut outcome = Outcome::NoBackend;
        while tries.done() < self.terms.attempts_max {
            let known = |at: usize| self.backends[at].known();
            let Some(place) = tries.next(known, random::next()) else { break };
            let open = Open::new(&self.backends[place]);
            match self.attempt(open.backend(), &deadline).await {
                Ok(stream) => {
                    self.metrics.seconds.observe(began.elapsed().as_secs_f64());
                    return Ok((stream, open));
                }
                Err(found) if outcome != Outcome::Unreachable => outcome = found,
                Err(_) => {}
            }
        }
        Err(outcome)
    }

    /// Connects to a backend, and notes what that says of it.
    async fn attempt(&self, backend: &Backend, deadline: &Deadline) -> Result<TcpStream, Outcome> {
        let began = Instant::now();
        deadline.set(self.terms.connect_timeout_ms);
        let Ok(Ok(place)) = deadline.within(backend.destination.find()).await else {
            // A resolver that fails says nothing of the backend.
            backend.count_failure();
            return Err(Outcome::Unreachable);
        };
        match deadline.within(backend.destination.open_at(&place)).await {
            Ok(Ok(stream)) => {
                if backend.connected(began) {
                    tracing::info!(event = "backend_back", balancer = self.name, backend = backend.id);
                }
                Ok(stream)
            }
            Ok(Err(error)) if is_own_fault(&error) => Err(Outcome::OwnFault),
            failed => {
                backend.count_failure();
                if backend.connect_failed(began, self.terms.leave) {
                    let why = failed.map_or_else(|_| "it took too long".to_owned(), |it| error_text(&it));
                    tracing::warn!(event = "backend_left", balancer = self.name, backend = backend.id, error = why);
                }
                Err(Outcome::Unreachable)
            }
        }
    }

    /// Lets those be looked at whose time has come, while the connection that came goes elsewhere.
    fn look_at_those_due(self: &Arc<Self>) {
        for backend in self.backends.iter().filter(|backend| backend.take_look(self.terms.leave)) {
            let (balancer, backend) = (Arc::clone(self), Arc::clone(backend));
            tokio::spawn(async move {
                // Whether it takes one is all that is asked.
                drop(balancer.attempt(&backend, &Deadline::new()).await);
            });
        }
    }
}

fn error_text(connected: &std::io::Result<TcpStream>) -> String {
    connected.as_ref().err().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;

    fn of(backends: &[(&str, &str)], before: Option<&Balancer>) -> Balancer {
        let listed: Vec<String> =
            backends.iter().map(|(id, address)| format!(r#"{{"id": "{id}", "address": "{address}"}}"#)).collect();
        let text = format!(
            r#"{{"schema": 1, "epoch": 0, "generation": 1, "tcp": [{{"name": "t", "backends": [{}]}}]}}"#,
            listed.join(",")
        );
        let document = alongside_document::parse(text.as_bytes()).unwrap();
        Balancer::new(&document.tcp[0], before, &Metrics::register(&mut Registry::default()))
    }

    #[test]
    fn a_backend_is_the_same_while_its_id_and_address_are() {
        let first = of(&[("a", "127.0.0.1:1"), ("b", "127.0.0.1:2")], None);
        let next = of(&[("b", "127.0.0.1:2"), ("a", "127.0.0.1:3")], Some(&first));
        assert!(Arc::ptr_eq(&next.backends[0], &first.backends[1]));
        assert!(!Arc::ptr_eq(&next.backends[1], &first.backends[0]));
    }

    #[test]
    fn one_that_comes_back_is_known_while_it_has_connections_and_is_not_left_any_more() {
        let settings = leave::Settings { first_ms: 60_000, most_ms: 60_000 };
        let listed = [("a", "127.0.0.1:1")];
        let first = of(&listed, None);
        let open = Open::new(&first.backends[0]);
        open.backend().connect_failed(Instant::now(), settings);
        let without = of(&[], Some(&of(&[], Some(&first))));
        let again = of(&listed, Some(&without));
        assert!(Arc::ptr_eq(&again.backends[0], &first.backends[0]));
        assert_eq!(again.view()[0].left_ms, None);
        drop(open);
        let without = of(&[], Some(&again));
        assert!(!Arc::ptr_eq(&of(&listed, Some(&without)).backends[0], &first.backends[0]));
    }

    #[test]
    fn one_that_stays_stays_left() {
        let settings = leave::Settings { first_ms: 60_000, most_ms: 60_000 };
        let listed = [("a", "127.0.0.1:1")];
        let first = of(&listed, None);
        assert!(first.backends[0].connect_failed(Instant::now(), settings));
        assert!(of(&listed, Some(&first)).view()[0].left_ms.is_some());
    }
}
