//! Whatever befalls servers and clients, each client's answers are its own, in order, one for each command, and nothing is
//! left behind: a seeded simulation with fake servers that speak real bytes.
//!
//! `SIMULATION_SEEDS` is how many seeds each test takes; `SIMULATION_SEED` repeats one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it saw"
)]

mod world;

use std::collections::{BTreeMap, VecDeque};
use std::panic::catch_unwind;
use std::sync::Arc;

use alongside_ambassador::core::{Holdings, Terms, Why};
use serde_json::{Value, json};
use world::random::Random;
use world::speech::{Expected, Speaker};
use world::terms::{document, terms_of};
use world::{Health, World};

const SEEDS: u64 = 256;
const CHAOS_TURNS: usize = 300;

/// A client, what it says and waits for.
struct Talker {
    speaker: Speaker,
    waiting: VecDeque<Expected>,
    is_ended: bool,
}

/// What happened.
type Told = BTreeMap<&'static str, u64>;

fn for_each_seed(test: &str, happens: &[&str], run: fn(u64) -> Told) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let count = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    };
    let mut all = Told::new();
    for seed in seeds.clone() {
        let again = format!("SIMULATION_SEED={seed} cargo test -p alongside-ambassador --test simulation {test}");
        let told = catch_unwind(|| run(seed));
        assert!(told.is_ok(), "seed {seed} failed; repeat it with\n  {again}");
        told.into_iter().flatten().for_each(|(word, count)| *all.entry(word).or_default() += count);
    }
    println!("{test}: {all:?}");
    let is_whole = seeds.end - seeds.start >= SEEDS;
    let missing = happens.iter().find(|&&word| is_whole && all.get(word).copied().unwrap_or(0) == 0);
    assert_eq!(missing, None, "never happened: {all:?}");
}

struct Simulation {
    world: World,
    document: Value,
    terms: Arc<Terms>,
    random: Random,
    /// Servers that may fail. The others never do.
    sick: Vec<usize>,
    talkers: BTreeMap<usize, Talker>,
    answered: u64,
    broken: u64,
    reloads: u64,
}

impl Simulation {
    fn new(protocol: &str, seed: u64) -> Simulation {
        let mut random = Random::new(seed ^ 0xa11);
        let servers = 2 + random.place(3);
        let mut more = json!({
            "connections": 1 + random.place(2),
            "preconnect": random.is_so(300),
            "limits": {"client_requests_max": 1 + random.place(40)},
        });
        if random.is_so(600) {
            more["ejection"] = json!({"failures": 1 + random.place(2), "servers_percent_min": random.place(2) * 60});
        }
        if protocol == "redis" && random.is_so(300) {
            more["server_user"] = json!({"name": "me", "password": "/p"});
            more["database"] = json!(1);
        }
        let document = document(protocol, servers, &more);
        let terms = terms_of(&document, &Arc::default());
        let sick = (1..servers).filter(|_| random.is_so(600)).collect();
        let world = World::new(&terms, seed);
        let talkers = BTreeMap::new();
        Simulation { world, document, terms, random, sick, talkers, answered: 0, broken: 0, reloads: 0 }
    }

    fn come(&mut self) {
        let number = self.world.connect();
        let talker = Talker { speaker: Speaker::new(number), waiting: VecDeque::new(), is_ended: false };
        self.talkers.insert(number, talker);
    }

    fn talk(&mut self, number: usize) {
        let talker = self.talkers.get_mut(&number).unwrap();
        for _ in 0..self.random.place(4) {
            if talker.is_ended || talker.waiting.len() > 60 {
                break;
            }
            let (bytes, expected) = talker.speaker.speak(&self.terms, &self.sick, &mut self.random);
            talker.waiting.extend(expected);
            self.world.send(number, &bytes);
        }
    }

    fn listen(&mut self, number: usize) {
        let talker = self.talkers.get_mut(&number).unwrap();
        let protocol = self.terms.pool.protocol;
        let client = self.world.client(number);
        while let Some(expected) = talker.waiting.front() {
            if client.got.is_empty() && !matches!(expected, Expected::Exactly(bytes) if bytes.is_empty()) {
                break;
            }
            if expected.take(&mut client.got, protocol).is_none() {
                break;
            }
            talker.waiting.pop_front();
            self.answered += 1;
        }
        assert!(!talker.waiting.is_empty() || client.got.is_empty(), "an answer to nothing");
        assert!(!client.is_closed || talker.is_ended && talker.waiting.is_empty(), "closed before its answers came");
    }

    /// Something befalls a client or a server.
    fn befall(&mut self) {
        let clients: Vec<usize> = self.talkers.keys().copied().collect();
        let some = clients.get(self.random.place(clients.len().max(1))).copied();
        match (self.random.below(14), some) {
            (0..=1, _) if clients.len() < 8 => self.come(),
            (2, Some(number)) => {
                self.talkers.remove(&number);
                self.world.break_client(number);
            }
            (3, Some(number)) if self.world.client(number).to_core.is_empty() => {
                self.talkers.get_mut(&number).unwrap().is_ended = true;
                self.world.end(number);
            }
            (4, Some(number)) => self.world.client(number).is_slow ^= true,
            (5, _) if self.random.is_so(400) => self.reload(),
            (6..=13, _) if !self.sick.is_empty() => {
                let server = self.sick[self.random.place(self.sick.len())];
                match self.random.below(8) {
                    0 => self.world.kill(server),
                    1 => self.world.server(server).health = Health::Silent,
                    2 => {
                        self.world.server(server).health = Health::Unreachable;
                        self.world.break_links(server, Why::Reset);
                    }
                    3 => self.world.break_links(server, Why::Ended),
                    _ => self.world.server(server).health = Health::Good,
                }
                self.broken += 1;
            }
            _ => {}
        }
    }

    /// The document comes anew: a server that may fail perhaps has another address in it, where it is well and empty.
    fn reload(&mut self) {
        if !self.sick.is_empty() {
            let index = self.sick[self.random.place(self.sick.len())];
            let port = 7_000 + index + 10 * self.random.place(2);
            self.document["servers"][index]["address"] = json!(format!("127.0.0.1:{port}"));
        }
        self.terms = terms_of(&self.document, &self.terms.counters);
        self.world.apply(&self.terms.clone());
        self.reloads += 1;
    }

    fn turn(&mut self) {
        let us = if self.random.is_so(30) { 60_000 } else { self.random.below(1_500) };
        if us < 2_000 || self.talkers.values().all(|talker| talker.waiting.is_empty()) {
            self.world.step(us);
        } else {
            // Servers that never fail answer within the time-out.
            for _ in 0..us / 500 {
                self.world.step(500);
            }
        }
        let numbers: Vec<usize> = self.talkers.keys().copied().collect();
        for number in numbers {
            self.listen(number);
            if self.world.client(number).is_closed {
                self.talkers.remove(&number);
            }
        }
    }

    fn run(&mut self) {
        for _ in 0..CHAOS_TURNS {
            if self.random.is_so(250) {
                self.befall();
            }
            let numbers: Vec<usize> = self.talkers.keys().copied().collect();
            numbers.into_iter().for_each(|number| self.talk(number));
            self.turn();
        }
    }

    /// All heals: everything is answered, and then nothing is left.
    fn heal(&mut self) {
        for index in 0..self.terms.pool.servers.len() {
            self.world.server(index).health = Health::Good;
        }
        let numbers: Vec<usize> = self.talkers.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.world.client(number).is_slow = false);
        for _ in 0..1_000 {
            self.turn();
        }
        let left: usize = self.talkers.values().map(|talker| talker.waiting.len()).sum();
        assert_eq!(left, 0, "commands were never answered: {:?}", self.world.core.holdings());
        let holdings = self.world.core.holdings();
        let expected = Holdings { clients: self.talkers.len(), links: holdings.links, ..Holdings::default() };
        assert_eq!(holdings, expected, "something was left behind");
        assert!(self.terms.servers.iter().all(|server| server.standing() as u8 == 0), "a server did not come back");
    }
}

fn simulate(protocol: &str, seed: u64) -> Told {
    let mut simulation = Simulation::new(protocol, seed);
    simulation.come();
    simulation.run();
    simulation.heal();
    let counters = &simulation.terms.counters;
    let sums = || simulation.terms.servers.iter().map(|server| server.sum());
    Told::from([
        ("answered", simulation.answered),
        ("broken", simulation.broken),
        ("reloads", simulation.reloads),
        ("ejections", counters.sum().server_ejects),
        ("fragments", counters.sum().fragments),
        ("failed", sums().map(|sum| sum.failed).sum()),
        ("timed out", sums().map(|sum| sum.timed_out).sum()),
        ("probes", sums().map(|sum| sum.probes).sum()),
        ("moved away", sums().map(|sum| sum.moved_away).sum()),
    ])
}

const HAPPENS: [&str; 8] =
    ["answered", "broken", "reloads", "ejections", "fragments", "failed", "timed out", "moved away"];

#[test]
fn memcache_clients_get_their_own_answers_in_order() {
    for_each_seed("memcache", &HAPPENS, |seed| simulate("memcache", seed));
}

#[test]
fn redis_clients_get_their_own_answers_in_order() {
    for_each_seed("redis", &HAPPENS, |seed| simulate("redis", seed));
}
