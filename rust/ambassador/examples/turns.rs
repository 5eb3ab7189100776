//! What a command costs in the core alone: nanoseconds without any socket, by load.
//!
//! `cargo run --release -p alongside-ambassador --example turns`; with a protocol, a part of a load's name and a number
//! so many turns of that load alone, for a tool that counts instructions.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is run by hand, and tells what it measured"
)]

use std::sync::Arc;

use alongside_ambassador::core::{ClientId, Core, Effect, LinkId, Terms};
use serde_json::json;

const CLIENTS: usize = 50;
const SERVERS: usize = 4;
/// Turns between two looks at the clock.
const TURNS: usize = 64;
const ROUND_NS: u64 = 200_000_000;
const ROUNDS: usize = 5;

/// A load: what each client sends at once, and what each server answers to a number of asked bytes.
struct Load {
    name: &'static str,
    protocol: &'static str,
    depth: usize,
    keys: usize,
    value: usize,
}

struct Bench {
    core: Core,
    clients: Vec<ClientId>,
    links: Vec<(LinkId, Vec<u8>)>,
    load: Load,
}

fn terms(protocol: &str) -> Arc<Terms> {
    let servers: Vec<_> =
        (0..SERVERS).map(|i| json!({"name": format!("s{i}"), "address": format!("127.0.0.1:{}", 7000 + i)})).collect();
    let pool = json!({"name": "p", "protocol": protocol, "servers": servers, "timeout_ms": 400});
    let pool = serde_json::from_value(pool).unwrap();
    Arc::new(Terms::new(pool, Vec::new(), None, Arc::default()).unwrap())
}

impl Bench {
    fn new(load: Load) -> Bench {
        let mut core = Core::new(1);
        core.apply(vec![terms(load.protocol)], 0);
        let clients = (0..CLIENTS).map(|_| core.client_opened("p", 0).unwrap()).collect();
        let mut bench = Bench { core, clients, links: Vec::new(), load };
        bench.round(0);
        bench
    }

    fn key(client: usize, index: usize) -> String {
        format!("key:{:010}", (client * 1000 + index) as u64 * 2_654_435_761 % 10_000_000_000)
    }

    fn asked(&self, client: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for i in 0..self.load.depth {
            let keys: Vec<String> = (0..self.load.keys).map(|k| Bench::key(client, i * self.load.keys + k)).collect();
            if self.load.protocol == "memcache" {
                out.extend_from_slice(format!("get {}\r\n", keys.join(" ")).as_bytes());
            } else {
                let name = if keys.len() == 1 { "GET" } else { "MGET" };
                out.extend_from_slice(format!("*{}\r\n${}\r\n{name}\r\n", keys.len() + 1, name.len()).as_bytes());
                keys.iter().for_each(|key| out.extend_from_slice(format!("${}\r\n{key}\r\n", key.len()).as_bytes()));
            }
        }
        out
    }

    /// One turn of requests, one of answers. Return how many bytes clients got.
    fn round(&mut self, now_us: u64) -> usize {
        let asked: Vec<Vec<u8>> = (0..CLIENTS).map(|client| self.asked(client)).collect();
        let answers = self.prepare(&asked, now_us);
        self.turn(&asked, &answers, now_us)
    }

    /// Play a turn once to learn what servers must answer.
    fn prepare(&mut self, asked: &[Vec<u8>], now_us: u64) -> Vec<(LinkId, Vec<u8>)> {
        for (client, bytes) in self.clients.iter().zip(asked) {
            self.core.client_read(*client, bytes, now_us);
        }
        let mut effects = Vec::new();
        self.core.take_effects(&mut effects);
        for effect in effects {
            if let Effect::Connect { link, .. } = effect {
                self.core.link_connected(link, now_us);
                self.links.push((link, Vec::new()));
            }
        }
        let mut answers = Vec::new();
        for (link, _) in &self.links {
            let out = self.core.link_output(*link).to_vec();
            self.core.link_wrote(*link, out.len(), now_us);
            let answer = self.answer(&out);
            self.core.link_read(*link, &answer, now_us);
            answers.push((*link, answer));
        }
        self.finish(now_us);
        answers
    }

    fn answer(&self, asked: &[u8]) -> Vec<u8> {
        let value = "v".repeat(self.load.value);
        let text = std::str::from_utf8(asked).unwrap();
        let mut out = Vec::new();
        if self.load.protocol == "memcache" {
            for line in text.lines() {
                for key in line.split(' ').skip(1) {
                    out.extend_from_slice(format!("VALUE {key} 0 {}\r\n{value}\r\n", value.len()).as_bytes());
                }
                out.extend_from_slice(b"END\r\n");
            }
        } else {
            for command in text.split('*').skip(1) {
                let count: usize = command.lines().next().unwrap().parse().unwrap();
                if command.contains("MGET") {
                    out.extend_from_slice(format!("*{}\r\n", count - 1).as_bytes());
                }
                (1..count).for_each(|_| out.extend_from_slice(format!("${}\r\n{value}\r\n", value.len()).as_bytes()));
            }
        }
        out
    }

    fn turn(&mut self, asked: &[Vec<u8>], answers: &[(LinkId, Vec<u8>)], now_us: u64) -> usize {
        for (client, bytes) in self.clients.iter().zip(asked) {
            self.core.client_read(*client, bytes, now_us);
        }
        self.core.turn(now_us);
        let (mut clients, mut links) = (Vec::new(), Vec::new());
        self.core.take_dirty(&mut clients, &mut links);
        for link in links {
            let length = self.core.link_output(link).len();
            self.core.link_wrote(link, length, now_us);
        }
        for (link, bytes) in answers {
            // As a reactor reads: at most so much at once.
            bytes.chunks(65_536).for_each(|chunk| self.core.link_read(*link, chunk, now_us));
        }
        self.core.turn(now_us);
        self.finish(now_us)
    }

    fn finish(&mut self, now_us: u64) -> usize {
        let (mut clients, mut links) = (Vec::new(), Vec::new());
        self.core.take_dirty(&mut clients, &mut links);
        let mut got = 0;
        for client in clients {
            let length = self.core.client_output(client).len();
            got += length;
            self.core.client_wrote(client, length, now_us);
        }
        got
    }
}

/// Play so many turns.
fn count(mut bench: Bench, turns: usize) {
    let asked: Vec<Vec<u8>> = (0..CLIENTS).map(|client| bench.asked(client)).collect();
    let answers = bench.prepare(&asked, 0);
    for turn in 0..turns {
        bench.turn(&asked, &answers, turn as u64);
    }
    println!("{} commands in {turns} turns: {}", turns * CLIENTS * bench.load.depth, bench.load.name);
}

/// The time that this process had a processor: what others do on the machine does not count.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn main() {
    let load = |name, protocol, depth, keys, value| Load { name, protocol, depth, keys, value };
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for protocol in ["memcache", "redis"] {
        for load in [
            load("depth 1, 100 B", protocol, 1, 1, 100),
            load("pipeline 16, 100 B", protocol, 16, 1, 100),
            load("pipeline 16, 4 KiB", protocol, 16, 1, 4096),
            load("10 keys, 100 B", protocol, 1, 10, 100),
            load("100 keys, 100 B", protocol, 1, 100, 100),
        ] {
            if let [only, part, turns] = &wanted[..] {
                if *only == protocol && load.name.contains(part.as_str()) {
                    count(Bench::new(load), turns.parse().unwrap());
                }
                continue;
            }
            let mut bench = Bench::new(load);
            let asked: Vec<Vec<u8>> = (0..CLIENTS).map(|client| bench.asked(client)).collect();
            let answers = bench.prepare(&asked, 0);
            let mut best = f64::MAX;
            for _ in 0..ROUNDS {
                let (started, mut count) = (cpu_ns(), 0_usize);
                while cpu_ns() - started < ROUND_NS {
                    for _ in 0..TURNS {
                        let got = bench.turn(&asked, &answers, count as u64);
                        assert!(got >= CLIENTS * bench.load.depth * bench.load.keys * bench.load.value);
                        count += CLIENTS * bench.load.depth;
                    }
                }
                best = best.min((cpu_ns() - started) as f64 / count as f64);
            }
            let per_key = best / bench.load.keys as f64;
            println!(
                "{:<9} {:<20} {best:8.0} ns a command, {per_key:6.1} ns a key",
                bench.load.protocol, bench.load.name
            );
        }
    }
}
