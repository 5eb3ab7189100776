//! What pools count, for Prometheus: read from the counters when it is asked for, so that what is gone is not there.

use crate::counters::{BOUNDS_US, Class, Latency, PoolSum, ServerCounters, ServerSum, Standing};
use crate::reactor::{Engine, Served};
use alongside_transport::admission::Full;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The metrics of an engine's pools.
#[derive(Debug)]
pub struct Metrics(Engine);

/// A figure's name, what it says, and where it is found.
type Described<S> = (&'static str, &'static str, fn(&S) -> u64);
type Labels<'l> = Vec<(&'static str, &'l str)>;
type Samples<'l> = Vec<(Labels<'l>, u64)>;

/// What is counted of a pool.
const OF_POOLS: [Described<PoolSum>; 9] = [
    ("client_connections", "Connections of clients that were let in", |sum| sum.client_connections_total),
    ("commands", "Commands of clients", |sum| sum.commands),
    ("answered_here", "Commands that needed no server", |sum| sum.answered_here),
    ("refused", "Commands that were not known, malformed or not allowed", |sum| sum.refused),
    ("limited", "Commands that were refused, or clients closed, at a limit", |sum| sum.limited),
    ("unsent", "Commands, or parts of them, that no server got", |sum| sum.forward_error),
    ("fragments", "Parts that commands with several keys were made into", |sum| sum.fragments),
    ("keys_lost", "Keys of a command with several that count as missing since their server failed", |sum| {
        sum.keys_lost
    }),
    ("ejections", "Times that a server was left out of its pool", |sum| sum.server_ejects),
];

/// What stands now of a pool.
const OF_POOLS_NOW: [Described<PoolSum>; 2] = [
    ("open_clients", "Connections of clients that are open now", |sum| sum.client_connections),
    ("waiting", "Commands that wait for answers now", |sum| sum.waiting),
];

/// What is counted of a server.
const OF_SERVERS: [Described<ServerSum>; 13] = [
    ("requests", "Commands, or parts of them, that were sent to a server", |sum| sum.requests),
    ("request_bytes", "Bytes of what was sent to a server", |sum| sum.request_bytes),
    ("responses", "Answers of a server", |sum| sum.responses),
    ("response_bytes", "Bytes of a server's answers", |sum| sum.response_bytes),
    ("failed", "Commands that failed since their server did", |sum| sum.failed),
    ("timed_out", "Commands whose answers came too late or never", |sum| sum.timed_out),
    ("moved_away", "Reads that went to another server since theirs could not be connected to", |sum| sum.moved_away),
    ("joined", "Gets that a server was told in the line of another", |sum| sum.joined),
    ("probes", "Looks whether a server can be used again", |sum| sum.probes),
    ("probes_failed", "Looks after which a server is still not used", |sum| sum.probes_failed),
    ("server_ends", "Connections that a server ended", |sum| sum.server_eof),
    ("server_errors", "Connections to a server that failed", |sum| sum.server_err),
    ("server_timeouts", "Connections to a server that were closed for its silence", |sum| sum.server_timedout),
];

/// What stands now of a server.
const OF_SERVERS_NOW: [Described<ServerSum>; 3] = [
    ("open_connections", "Connections open now to a server", |sum| sum.server_connections),
    ("unsent_now", "Commands that wait to be sent to a server now", |sum| sum.in_queue),
    ("unanswered_now", "Commands that wait for a server's answers now", |sum| sum.out_queue),
];

impl Metrics {
    /// Registers the metrics of an engine.
    pub fn register(registry: &mut Registry, engine: Engine) {
        let registry = registry.sub_registry_with_prefix("alongside_ambassador");
        registry.register_collector(Box::new(Self(engine)));
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let pools = self.0.pools();
        if pools.is_empty() {
            return Ok(());
        }
        let sums: Vec<_> = pools.iter().map(|(name, served)| (name.as_str(), served.terms.counters.sum())).collect();
        for (name, help, figure) in OF_POOLS {
            let samples = sums.iter().map(|(pool, sum)| (vec![("pool", *pool)], figure(sum))).collect();
            counter(&mut encoder, (name, help), samples)?;
        }
        for (name, help, figure) in OF_POOLS_NOW {
            let samples = sums.iter().map(|(pool, sum)| (vec![("pool", *pool)], figure(sum))).collect();
            gauge(&mut encoder, (name, help), samples)?;
        }
        counter(&mut encoder, ("rejected_connections", "Connections of clients that found no room"), rejected(&pools))?;
        let servers: Vec<_> = pools.iter().flat_map(|(pool, served)| servers(pool, served)).collect();
        let sums: Vec<_> = servers.iter().map(|(labels, server)| (labels, server.sum())).collect();
        for (name, help, figure) in OF_SERVERS {
            let samples = sums.iter().map(|(labels, sum)| ((*labels).clone(), figure(sum))).collect();
            counter(&mut encoder, (name, help), samples)?;
        }
        for (name, help, figure) in OF_SERVERS_NOW {
            let samples = sums.iter().map(|(labels, sum)| ((*labels).clone(), figure(sum))).collect();
            gauge(&mut encoder, (name, help), samples)?;
        }
        let help = "1 while a server gets no commands, by how it stands, else 0";
        gauge(&mut encoder, ("server_left", help), left(&servers))?;
        latencies(&mut encoder, &servers)
    }
}

/// Returns a pool's servers with their labels.
fn servers<'s>(pool: &'s str, served: &'s Served) -> impl Iterator<Item = (Labels<'s>, Arc<ServerCounters>)> {
    let names = served.terms.pool.servers.iter().map(|server| server.name.as_str());
    let labelled = move |name| vec![("pool", pool), ("server", name)];
    names.map(labelled).zip(served.terms.servers.iter().cloned())
}

fn left<'l>(servers: &[(Labels<'l>, Arc<ServerCounters>)]) -> Samples<'l> {
    let mut samples = Samples::new();
    for (labels, server) in servers {
        let standing = server.standing();
        for word in [Standing::Down, Standing::Ejected] {
            let labels = labels.iter().copied().chain([("standing", word.as_str())]).collect();
            samples.push((labels, u64::from(standing == word)));
        }
    }
    samples
}

fn rejected(pools: &BTreeMap<String, Served>) -> Samples<'_> {
    let mut samples = Samples::new();
    for (pool, served) in pools {
        for full in [Full::Process, Full::Address, Full::Group] {
            samples.push((vec![("pool", pool.as_str()), ("limit", full.as_str())], served.clients.rejected(full)));
        }
    }
    samples
}

fn counter(encoder: &mut DescriptorEncoder<'_>, (name, help): (&str, &str), samples: Samples<'_>) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in samples {
        family.encode_family(&labels.as_slice())?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, (name, help): (&str, &str), samples: Samples<'_>) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        family.encode_family(&labels.as_slice())?.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))?;
    }
    Ok(())
}

fn latencies(encoder: &mut DescriptorEncoder<'_>, servers: &[(Labels<'_>, Arc<ServerCounters>)]) -> fmt::Result {
    let help = "How long a server took to answer, by what the command does";
    let mut family = encoder.encode_descriptor("response", help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (labels, server) in servers {
        for class in Class::ALL {
            let latency = server.latency(class);
            let labels: Labels<'_> = labels.iter().copied().chain([("class", class.as_str())]).collect();
            encode_latency(&labels.as_slice(), &mut family, &latency)?;
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "seconds with that many microseconds are not of this world")]
fn encode_latency(
    labels: &impl EncodeLabelSet,
    family: &mut prometheus_client::encoding::MetricEncoder<'_>,
    latency: &Latency,
) -> fmt::Result {
    let bounds = BOUNDS_US.iter().map(|&bound| f64::from(bound) / 1e6).chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = bounds.zip(latency.steps).collect();
    let sum = latency.total_us as f64 / 1e6;
    family.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, latency.count(), &buckets, None)
}
