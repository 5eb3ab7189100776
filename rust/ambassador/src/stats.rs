//! twemproxy's figures in its own form: one line of JSON, for whoever connects.

use crate::counters::{PoolSum, ServerSum};
use crate::reactor::{Engine, Served};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// The version of twemproxy whose form it is.
const VERSION: &str = "0.5.0";

/// Returns the line, with its line break. `source` is this machine's name.
#[must_use]
pub fn line(engine: &Engine, source: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_line(&mut text, engine, source, since.as_secs());
    text
}

fn write_line(text: &mut String, engine: &Engine, source: &str, timestamp: u64) -> fmt::Result {
    let pools = engine.pools();
    let (total, current) = connections(engine, &pools);
    write!(text, "{{\"service\":\"nutcracker\", \"source\":{}, \"version\":\"{VERSION}\", ", quoted(source))?;
    write!(text, "\"uptime\":{}, \"timestamp\":{timestamp}, ", engine.uptime_s())?;
    write!(text, "\"total_connections\":{total}, \"curr_connections\":{current}")?;
    for (name, served) in pools.iter() {
        write!(text, ", {}: {{", quoted(name))?;
        write_figures(text, &of_pool(&served.terms.counters.sum()))?;
        for (server, counters) in served.terms.pool.servers.iter().zip(&served.terms.servers) {
            write!(text, ", {}: {{", quoted(server.name.as_str()))?;
            write_figures(text, &of_server(&counters.sum(), engine.ejected_at_us(counters)))?;
            text.push('}');
        }
        text.push('}');
    }
    text.push_str("}\n");
    Ok(())
}

/// Returns connections that there ever were, and those that are there now.
fn connections(engine: &Engine, pools: &BTreeMap<String, Served>) -> (u64, u64) {
    let clients: Vec<PoolSum> = pools.values().map(|served| served.terms.counters.sum()).collect();
    let servers = pools.values().flat_map(|served| &served.terms.servers);
    let servers: u64 = servers.map(|server| server.sum().server_connections).sum();
    let current = servers + clients.iter().map(|sum| sum.client_connections).sum::<u64>();
    let total = engine.links_made() + clients.iter().map(|sum| sum.client_connections_total).sum::<u64>();
    (total.max(current), current)
}

const fn of_pool(sum: &PoolSum) -> [(&'static str, u64); 6] {
    [
        ("client_eof", sum.client_eof),
        ("client_err", sum.client_err),
        ("client_connections", sum.client_connections),
        ("server_ejects", sum.server_ejects),
        ("forward_error", sum.forward_error),
        ("fragments", sum.fragments),
    ]
}

const fn of_server(sum: &ServerSum, ejected_at_us: u64) -> [(&'static str, u64); 13] {
    [
        ("server_eof", sum.server_eof),
        ("server_err", sum.server_err),
        ("server_timedout", sum.server_timedout),
        ("server_connections", sum.server_connections),
        ("server_ejected_at", ejected_at_us),
        ("requests", sum.requests),
        ("request_bytes", sum.request_bytes),
        ("responses", sum.responses),
        ("response_bytes", sum.response_bytes),
        ("in_queue", sum.in_queue),
        ("in_queue_bytes", sum.in_queue_bytes),
        ("out_queue", sum.out_queue),
        ("out_queue_bytes", sum.out_queue_bytes),
    ]
}

fn write_figures(text: &mut String, figures: &[(&str, u64)]) -> fmt::Result {
    for (number, (name, value)) in figures.iter().enumerate() {
        let between = if number == 0 { "" } else { ", " };
        write!(text, "{between}\"{name}\":{value}")?;
    }
    Ok(())
}

/// Returns a text as JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if u32::from(letter) < 32 => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_in_json_whatever_it_has() {
        assert_eq!(quoted("a\"b\\\n"), r#""a\"b\\\u000a""#);
    }

    #[test]
    fn an_engine_without_pools_has_the_figures_of_the_process() {
        let line = line(&Engine::new(1), "here");
        assert!(
            line.starts_with("{\"service\":\"nutcracker\", \"source\":\"here\", \"version\":\"0.5.0\", \"uptime\":0, ")
        );
        assert!(line.ends_with("\"total_connections\":0, \"curr_connections\":0}\n"), "{line}");
    }
}
