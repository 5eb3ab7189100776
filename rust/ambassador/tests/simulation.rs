//! Whatever befalls servers and clients, each client's answers are its own, in order, one for each command, and nothing is
//! left behind: a seeded simulation with fake servers that speak real bytes. A server that never fails is never left.
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
use alongside_document::PoolProtocol;
use alongside_protocols::resp::Version;
use serde_json::{Value, json};
use world::random::Random;
use world::speech::{Expected, Speaker, home, keys_of};
use world::terms::{document, terms_of};
use world::{Health, Server, World};

const SEEDS: u64 = 256;
const CHAOS_TURNS: usize = 300;
/// A client that is longer without an answer while nobody else says anything was forgotten.
const LULL_US: u64 = 60_000_000;

/// A client, what it says and waits for.
struct Talker {
    speaker: Speaker,
    /// What must be answered, and the keys that it is about.
    waiting: VecDeque<(Expected, Vec<String>)>,
    /// What it is answered in.
    version: Version,
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
    /// Servers that may fail, move and go. The others never do.
    sick: Vec<String>,
    /// Servers that there ever were.
    named: usize,
    /// Clients that are there at once, at most.
    most: usize,
    talkers: BTreeMap<usize, Talker>,
    told: Told,
}

impl Simulation {
    fn new(protocol: &str, seed: u64) -> Simulation {
        let mut random = Random::new(seed ^ 0xa11);
        let servers = 2 + random.place(3);
        let mut more = json!({
            "connections": 1 + random.place(2),
            "preconnect": random.is_so(300),
            "is_strict": random.is_so(200),
            "limits": {
                "client_requests_max": 1 + random.place(40),
                "client_bytes_max": 65_536,
                "server_bytes_max": 1_048_576,
            },
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
        let sick = (1..servers).filter(|_| random.is_so(600)).map(|number| format!("s{number}")).collect();
        let mut world = World::new(&terms, seed);
        if random.is_so(200) {
            let server = world.server(random.place(servers));
            if random.is_so(500) {
                server.newest = Version::Two;
            } else {
                server.hangs_up = true;
            }
        }
        let most = if random.is_so(500) { 8 } else { 16 };
        let (talkers, told) = (BTreeMap::new(), Told::new());
        Simulation { world, document, terms, random, sick, named: servers, most, talkers, told }
    }

    fn count(&mut self, what: &'static str) {
        *self.told.entry(what).or_default() += 1;
    }

    fn come(&mut self) {
        let number = self.world.connect();
        let is_old = |server: &Server| server.newest == Version::Two || server.hangs_up;
        let old = |name: &String| is_old(&self.world.servers[&address_of(&self.terms, name)]);
        let names = self.terms.pool.servers.iter().map(|server| server.name.as_str().to_owned());
        let may_speak_three = !names.filter(|name| !self.sick.contains(name)).any(|name| old(&name));
        let may_refuse_three = self.world.servers.values().any(is_old);
        let speaker = Speaker::new(number, self.terms.pool.is_strict, [may_speak_three, may_refuse_three]);
        let talker = Talker { speaker, waiting: VecDeque::new(), version: Version::Two, is_ended: false };
        self.talkers.insert(number, talker);
    }

    fn talk(&mut self, number: usize) {
        let talker = self.talkers.get_mut(&number).unwrap();
        for _ in 0..self.random.place(4) {
            if talker.is_ended || talker.waiting.len() > 60 {
                break;
            }
            let (bytes, expected) = talker.speaker.speak(&self.terms, &self.sick, &mut self.random);
            talker.waiting.extend(expected.map(|expected| (expected, keys_of(&bytes))));
            self.world.send(number, &bytes);
        }
        if !talker.is_ended && self.terms.pool.protocol == PoolProtocol::Memcache && self.random.is_so(2) {
            let bytes = talker.speaker.flood(&mut self.random);
            self.world.send(number, &bytes);
            self.count("floods");
        }
    }

    fn listen(&mut self, number: usize) {
        let talker = self.talkers.get_mut(&number).unwrap();
        let protocol = self.terms.pool.protocol;
        let may_be_refused = self.world.may_be_refused();
        let client = self.world.client(number);
        while let Some((expected, _)) = talker.waiting.front_mut() {
            if let Expected::Version { version: Version::Three, may_refuse, .. } = expected {
                *may_refuse |= may_be_refused;
            }
            if client.got.is_empty() && !matches!(expected, Expected::Exactly(bytes) if bytes.is_empty()) {
                break;
            }
            let before = talker.version;
            if expected.take(&mut client.got, protocol, &mut talker.version).is_none() {
                break;
            }
            if let Expected::Version { version, .. } = expected {
                let told = match (before == talker.version, *version == talker.version) {
                    (false, _) => "versions",
                    (true, true) => "versions kept",
                    (true, false) => "versions refused",
                };
                *self.told.entry(told).or_default() += 1;
            }
            talker.waiting.pop_front();
            *self.told.entry("answered").or_default() += 1;
        }
        assert!(!talker.waiting.is_empty() || client.got.is_empty(), "an answer to nothing");
        assert!(!client.is_closed || talker.is_ended && talker.waiting.is_empty(), "closed before its answers came");
    }

    /// Something befalls a client or a server.
    fn befall(&mut self) {
        let clients: Vec<usize> = self.talkers.keys().copied().collect();
        let some = clients.get(self.random.place(clients.len().max(1))).copied();
        match (self.random.below(14), some) {
            (0..=1, _) if clients.len() < self.most => self.come(),
            (2, Some(number)) => {
                self.talkers.remove(&number);
                self.world.break_client(number);
            }
            (3, Some(number)) if self.world.client(number).to_core.is_empty() => {
                self.talkers.get_mut(&number).unwrap().is_ended = true;
                self.world.end(number);
            }
            (4, Some(number)) => self.world.client(number).is_slow ^= true,
            (5, _) if self.random.is_so(800) => self.reload(),
            (5, _) => self.lull(),
            (6..=13, _) if !self.sick.is_empty() => self.sicken(),
            _ => {}
        }
    }

    /// A server that may fail does, or gets well; or its name stands for another address.
    fn sicken(&mut self) {
        let name = &self.sick[self.random.place(self.sick.len())];
        let server = self.terms.pool.servers.iter().find(|server| server.name.as_str() == name).unwrap();
        let address = server.address.as_str().to_owned();
        let place = place_of(&address);
        match self.random.below(10) {
            0 => self.world.kill(place),
            1 if self.random.is_so(500) => self.world.server(place).health = Health::Silent,
            1 => self.world.server(place).health = Health::Closing,
            2 => {
                self.world.server(place).health = Health::Unreachable;
                self.world.break_links(place, Why::Reset);
            }
            3 => self.world.break_links(place, Why::Ended),
            4 => {
                self.world.move_away(&address);
                self.count("moves");
                // What was asked at the old address may outlive a reload.
                if self.random.is_so(500) {
                    self.world.server(place).health = Health::Silent;
                    self.world.look_up(&address);
                    self.reload();
                }
            }
            5 => self.world.look_up(&address),
            _ => self.world.server(place).health = Health::Good,
        }
        self.count("broken");
    }

    /// The document comes anew: servers change places, one comes or goes, one that may fail has another address in it,
    /// where it is well and empty.
    fn reload(&mut self) {
        let before = self.terms.clone();
        let servers = self.document["servers"].as_array_mut().unwrap();
        let place = self.random.place(servers.len());
        let name = servers[place]["name"].as_str().unwrap().to_owned();
        let is_sick = self.sick.contains(&name);
        // A key that moves to a server that fails could end the connection of a strict pool's client.
        let may_move = !before.pool.is_strict;
        match self.random.below(4) {
            0 => {
                let other = self.random.place(servers.len());
                servers.swap(place, other);
            }
            1 if may_move && servers.len() < 8 => {
                let (new, port) = (format!("s{}", self.named), 7_000 + self.named);
                servers.insert(place, json!({"name": new, "address": format!("127.0.0.1:{port}")}));
                self.named += 1;
                self.sick.push(new);
                self.count("added");
            }
            2 if may_move && is_sick && servers.len() > 2 => {
                servers.remove(place);
                self.sick.retain(|known| *known != name);
                self.count("removed");
            }
            _ if is_sick => {
                let port = 7_000 + name[1..].parse::<usize>().unwrap() + 100 * self.random.place(2);
                servers[place]["address"] = json!(format!("127.0.0.1:{port}"));
            }
            _ => {}
        }
        self.terms = terms_of(&self.document, &self.terms.counters);
        let after = self.terms.clone();
        let has_moved = |key: &str| home(&before, key) != home(&after, key);
        for talker in self.talkers.values_mut() {
            talker.speaker.doubt(&has_moved);
            talker.waiting.iter_mut().for_each(|(expected, keys)| expected.loosen(keys, &has_moved));
        }
        self.world.apply(&after);
        self.count("reloads");
    }

    /// Nobody says anything until everybody who listens has all answers: by the clock alone, where servers are silent.
    fn lull(&mut self) {
        let end_us = self.world.now_us + LULL_US;
        while self.is_waiting() && self.world.now_us < end_us {
            self.world.pass(end_us);
            self.listen_all();
        }
        assert!(!self.is_waiting(), "commands were forgotten: {:?}", self.world.core.holdings());
        self.count("lulls");
    }

    fn is_waiting(&mut self) -> bool {
        let world = &mut self.world;
        world.core.holdings().slots > 0
            || self.talkers.iter().any(|(&number, talker)| !world.client(number).is_slow && !talker.waiting.is_empty())
    }

    fn listen_all(&mut self) {
        let numbers: Vec<usize> = self.talkers.keys().copied().collect();
        for number in numbers {
            self.listen(number);
            if self.world.client(number).is_closed {
                self.talkers.remove(&number);
            }
        }
        for (named, server) in self.terms.pool.servers.iter().zip(&self.terms.servers) {
            let is_left = server.standing() as u8 != 0;
            let is_sick = self.sick.iter().any(|name| name == named.name.as_str());
            assert!(is_sick || !is_left, "{} never failed", named.name.as_str());
            assert!(!is_left || self.world.core.next_us().is_some(), "nobody will look at {}", named.name.as_str());
        }
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
        self.listen_all();
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
        self.world.servers.values_mut().for_each(|server| server.health = Health::Good);
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
    // Gets are joined where there are many clients.
    (0..=simulation.most / 2).for_each(|_| simulation.come());
    simulation.run();
    simulation.heal();
    let counters = &simulation.terms.counters;
    let sums = || simulation.terms.servers.iter().map(|server| server.sum());
    let mut told = simulation.told.clone();
    told.extend([
        ("ejections", counters.sum().server_ejects),
        ("fragments", counters.sum().fragments),
        ("failed", sums().map(|sum| sum.failed).sum()),
        ("timed out", sums().map(|sum| sum.timed_out).sum()),
        ("probes", sums().map(|sum| sum.probes).sum()),
        ("moved away", sums().map(|sum| sum.moved_away).sum()),
        ("joined", sums().map(|sum| sum.joined).sum()),
    ]);
    told
}

fn address_of(terms: &Terms, name: &str) -> String {
    let server = terms.pool.servers.iter().find(|server| server.name.as_str() == name).unwrap();
    server.address.as_str().to_owned()
}

fn place_of(address: &str) -> usize {
    address.rsplit_once(':').unwrap().1.parse::<usize>().unwrap() - 7_000
}

const HAPPENS: [&str; 13] = [
    "answered",
    "broken",
    "reloads",
    "added",
    "removed",
    "moves",
    "lulls",
    "ejections",
    "fragments",
    "failed",
    "timed out",
    "probes",
    "moved away",
];

#[test]
fn memcache_clients_get_their_own_answers_in_order() {
    let happens = [&HAPPENS[..], &["floods", "joined"]].concat();
    for_each_seed("memcache", &happens, |seed| simulate("memcache", seed));
}

#[test]
fn redis_clients_get_their_own_answers_in_order() {
    let happens = [&HAPPENS[..], &["versions", "versions kept", "versions refused"]].concat();
    for_each_seed("redis", &happens, |seed| simulate("redis", seed));
}
