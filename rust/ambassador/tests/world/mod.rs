//! A small world around the core: fake servers that speak real bytes, a network that cuts them anywhere, a clock.
//!
//! It does no more than the core asks for: it writes what the core says is to be written, or what the network left over, and
//! lets a turn pass when something came, or when the core wants to be woken. So a forgotten wake-up is seen.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests share it, each uses some of it, and fails by panicking"
)]

pub mod ends;
pub mod memcached;
#[path = "../../../policy/tests/simulation/random.rs"]
pub mod random;
pub mod redis;
pub mod speech;
pub mod terms;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alongside_ambassador::core::{ClientId, Core, Effect, LinkId, Terms, Why};
use alongside_document::PoolProtocol;
use alongside_protocols::resp::Version;
use ends::Link;
pub use ends::{Client, Health, Server};
use random::Random;
use serde_json::Value;

/// Bytes that one read gives at most.
const READ_BYTES: usize = 16 * 1024;

/// Return the length of the next piece of so many bytes: one, few, or all of them.
fn piece(random: &mut Random, bytes: usize) -> usize {
    let most = match random.below(4) {
        0 => 1,
        1 => 1 + random.place(7),
        2 => 1 + random.place(200),
        _ => bytes,
    };
    most.min(bytes)
}

pub struct World {
    pub core: Core,
    pub now_us: u64,
    pub random: Random,
    pub servers: BTreeMap<String, Server>,
    pub clients: BTreeMap<usize, Client>,
    ids: HashMap<ClientId, usize>,
    by_number: BTreeMap<usize, ClientId>,
    next_client: usize,
    links: Vec<(LinkId, Link)>,
    /// What is to be written to: the core said so, or the network did not take all.
    unwritten: (Vec<ClientId>, Vec<LinkId>),
    terms: Arc<Terms>,
    /// Whether bytes arrive in pieces.
    pub is_cutting: bool,
    /// Where it does not: so many bytes of what a server sends next are read first, the rest at once.
    pub first_bytes: Option<usize>,
    /// When a link last broke between the answer to what was asked before `HELLO` and the answer to that: so it is with who
    /// refuses it.
    broke_hello_us: Option<u64>,
}

/// Return a key of a server's own.
pub fn key_of(terms: &Terms, server: usize) -> String {
    (0..).map(|i| format!("key{i}")).find(|key| terms.explain(key.as_bytes()).home == server).unwrap()
}

/// Return the world of such a pool, its terms, and for each server a key of its own.
pub fn of(protocol: &str, servers: usize, more: &Value) -> (World, Arc<Terms>, Vec<String>) {
    let terms = terms::terms(protocol, servers, more);
    let keys = (0..servers).map(|server| key_of(&terms, server)).collect();
    (World::new(&terms, 7), terms, keys)
}

/// Send, let it be answered, return what came.
pub fn ask(world: &mut World, client: usize, bytes: &(impl AsRef<[u8]> + ?Sized)) -> String {
    world.send(client, bytes.as_ref());
    world.settle();
    world.take(client)
}

impl World {
    pub fn new(terms: &Arc<Terms>, seed: u64) -> World {
        let mut core = Core::new(seed);
        core.apply(vec![terms.clone()], 1_000_000);
        let mut world = World {
            core,
            now_us: 1_000_000,
            random: Random::new(seed),
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            ids: HashMap::new(),
            by_number: BTreeMap::new(),
            next_client: 0,
            links: Vec::new(),
            unwritten: (Vec::new(), Vec::new()),
            terms: terms.clone(),
            is_cutting: true,
            first_bytes: None,
            broke_hello_us: None,
        };
        world.know(terms);
        world
    }

    fn know(&mut self, terms: &Terms) {
        for server in &terms.pool.servers {
            let new = Server {
                health: Health::Good,
                store: HashMap::new(),
                newest: Version::Three,
                hangs_up: false,
                accepted: 0,
                moves: 0,
            };
            self.servers.entry(server.address.as_str().to_owned()).or_insert(new);
        }
    }

    pub fn apply(&mut self, terms: &Arc<Terms>) {
        self.know(terms);
        self.terms = terms.clone();
        self.core.apply(vec![terms.clone()], self.now_us);
    }

    pub fn server(&mut self, index: usize) -> &mut Server {
        self.servers.get_mut(&format!("127.0.0.1:{}", 7000 + index)).unwrap()
    }

    /// A client comes; return its number.
    pub fn connect(&mut self) -> usize {
        let id = self.core.client_opened("pool", self.now_us).expect("there is a pool");
        let number = self.next_client;
        self.next_client += 1;
        self.ids.insert(id, number);
        self.by_number.insert(number, id);
        self.clients.insert(number, Client::default());
        number
    }

    pub fn send(&mut self, client: usize, bytes: &[u8]) {
        self.clients.get_mut(&client).unwrap().to_core.extend_from_slice(bytes);
    }

    pub fn client(&mut self, client: usize) -> &mut Client {
        self.clients.get_mut(&client).unwrap()
    }

    /// Everything a client got until now, taken off.
    pub fn take(&mut self, client: usize) -> String {
        String::from_utf8(std::mem::take(&mut self.client(client).got)).unwrap()
    }

    /// A client ends its side.
    pub fn end(&mut self, client: usize) {
        self.core.client_eof(self.by_number[&client], self.now_us);
    }

    /// A client's connection breaks.
    pub fn break_client(&mut self, client: usize) {
        let id = self.by_number.remove(&client).unwrap();
        self.ids.remove(&id);
        self.clients.remove(&client);
        self.core.client_failed(id, self.now_us);
    }

    pub fn id(&self, client: usize) -> ClientId {
        self.by_number[&client]
    }

    /// Links that are open, with their servers' addresses.
    pub fn open_links(&self) -> Vec<String> {
        self.links.iter().filter(|(_, link)| link.is_open).map(|(_, link)| link.server.clone()).collect()
    }

    /// A server's process ends: its connections are reset, and none is taken.
    pub fn kill(&mut self, index: usize) {
        self.server(index).health = Health::Dead;
        self.server(index).store.clear();
        self.break_links(index, Why::Reset);
    }

    /// A server says something on its links that it was not asked.
    pub fn say(&mut self, index: usize, bytes: &[u8]) {
        let address = format!("127.0.0.1:{}", 7000 + index);
        for (_, link) in self.links.iter_mut().filter(|(_, link)| link.server == address) {
            link.to_core.extend_from_slice(bytes);
        }
    }

    /// Everything that a server was sent and has not read, taken off.
    pub fn hear(&mut self, index: usize) -> String {
        let address = format!("127.0.0.1:{}", 7000 + index);
        let its = self.links.iter_mut().filter(|(_, link)| link.server == address);
        let sent = its.flat_map(|(_, link)| std::mem::take(&mut link.to_server)).collect();
        String::from_utf8(sent).unwrap()
    }

    /// A server's name stands for another address from now on. Who is still at the old one is served there too.
    pub fn move_away(&mut self, address: &str) {
        self.servers.get_mut(address).unwrap().moves += 1;
    }

    /// A server's name is looked up: each link that leads to where it no longer is has moved.
    pub fn look_up(&mut self, address: &str) {
        let moves = self.servers[address].moves;
        let old = |link: &Link| link.server == address && link.moves != moves;
        let moved: Vec<LinkId> = self.links.iter().filter(|(_, link)| old(link)).map(|(id, _)| *id).collect();
        let new = |world: &World| {
            world.links.iter().filter(|(_, link)| link.server == address && link.moves == moves).count()
        };
        let before = new(self);
        for id in moved {
            self.core.link_moved(id, self.now_us);
        }
        self.follow_effects();
        assert!(new(self) >= before, "a lookup closed a link that leads where it should");
    }

    /// All links of a server break.
    pub fn break_links(&mut self, index: usize, why: Why) {
        let address = format!("127.0.0.1:{}", 7000 + index);
        let mut broken = Vec::new();
        self.links.retain(|(id, link)| {
            let is_its = link.server == address;
            if is_its {
                if link.seems_to_refuse() {
                    self.broke_hello_us = Some(self.now_us);
                }
                broken.push(*id);
            }
            !is_its
        });
        broken.into_iter().for_each(|id| self.core.link_closed(id, why, self.now_us));
    }

    /// Tell whether a server may be taken for one that refuses `HELLO`, since a link broke so.
    pub fn may_be_refused(&self) -> bool {
        let pool = &self.terms.pool;
        // Who was refused learns it when what it asked before is answered, or given up.
        let ms = pool.retry_ms + pool.timeout_ms.unwrap_or_default() + pool.connect_timeout_ms;
        self.broke_hello_us.is_some_and(|at_us| self.now_us <= at_us + ms * 1000)
    }

    /// Let so much time pass.
    pub fn step(&mut self, us: u64) {
        let end_us = self.now_us + us;
        let mut turns = 0;
        while let Some(at_us) = self.core.next_us().filter(|&at_us| at_us <= end_us) {
            self.now_us = self.now_us.max(at_us);
            self.turn(true);
            turns += 1;
            assert!(turns < 10_000, "the core wants to be woken again and again: {:?}", self.core.holdings());
        }
        self.now_us = end_us;
        self.turn(false);
    }

    /// Let time pass to where something happens: at once if something is under way, else when the core wants to be woken.
    pub fn pass(&mut self, end_us: u64) {
        let next_us = self.core.next_us().unwrap_or(end_us).min(end_us);
        self.step(if self.is_moving() { 100 } else { next_us.saturating_sub(self.now_us).max(1) });
    }

    /// Whether bytes are under way, or a connection that will come about or not.
    fn is_moving(&self) -> bool {
        let speaks = |client: &Client| !client.is_paused && !client.is_closed && !client.to_core.is_empty();
        let moves = |link: &Link| match self.servers[&link.server].health {
            Health::Unreachable => link.is_open && !link.to_core.is_empty(),
            Health::Good => !link.is_open || !link.to_server.is_empty() || !link.to_core.is_empty(),
            Health::Closing => true,
            Health::Silent | Health::Dead => !link.is_open || !link.to_core.is_empty(),
        };
        self.can_write() || self.clients.values().any(speaks) || self.links.iter().any(|(_, link)| moves(link))
    }

    /// Let a turn pass if there is something to read or to write, or if it is time.
    fn turn(&mut self, is_time: bool) {
        let is_read = self.read_clients() | self.read_links();
        if !is_time && !is_read && !self.can_write() {
            return;
        }
        self.core.turn(self.now_us);
        self.follow_effects();
        self.write();
        self.follow_effects();
        self.see_timers();
    }

    /// Whoever waits for a server with a time-out is woken by the clock if by nothing else.
    fn see_timers(&self) {
        let Some(timeout_ms) = self.terms.pool.timeout_ms else { return };
        let holdings = self.core.holdings();
        let next_us = self.core.next_us();
        let longest_us = 1_000 * (2 * timeout_ms + self.terms.pool.connect_timeout_ms) + 1_100_000;
        let is_late = next_us.is_none_or(|at_us| at_us > self.now_us + longest_us);
        assert!(holdings.asks == 0 || !is_late, "nothing ends waiting: {holdings:?}, woken at {next_us:?}");
    }

    /// Let turns pass for so long.
    pub fn run_ms(&mut self, ms: u64) {
        let end_us = self.now_us + ms * 1_000;
        while self.now_us < end_us {
            self.step(500);
        }
    }

    /// Let turns pass until nothing moves, without a time-out.
    pub fn settle(&mut self) {
        for _ in 0..40 {
            self.step(50);
        }
    }

    /// Give the core what clients sent; tell whether there was something.
    fn read_clients(&mut self) -> bool {
        let numbers: Vec<usize> = self.clients.keys().copied().collect();
        let mut is_read = false;
        for number in numbers {
            let id = self.by_number[&number];
            let client = self.clients.get_mut(&number).unwrap();
            if client.is_paused || client.is_closed {
                continue;
            }
            let bytes = std::mem::take(&mut client.to_core);
            is_read |= !bytes.is_empty();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let most = rest.len().min(READ_BYTES);
                let length = if self.is_cutting { piece(&mut self.random, most) } else { most };
                self.core.client_read(id, &rest[..length], self.now_us);
                rest = &rest[length..];
            }
        }
        is_read
    }

    /// Give the core what servers did; tell whether there was something.
    fn read_links(&mut self) -> bool {
        let mut is_read = false;
        for at in 0..self.links.len() {
            let (id, link) = &mut self.links[at];
            let server = self.servers.get_mut(&link.server).unwrap();
            let id = *id;
            if !link.is_open {
                is_read |= server.health != Health::Unreachable;
                match server.health {
                    Health::Good | Health::Silent | Health::Closing => {
                        link.is_open = true;
                        server.accepted += 1;
                        self.core.link_connected(id, self.now_us);
                    }
                    Health::Dead => {
                        self.core.link_closed(id, Why::Refused, self.now_us);
                        link.server.clear();
                    }
                    Health::Unreachable => {}
                }
                continue;
            }
            let is_hung_up = server.hangs_up && server.health == Health::Good && redis::has_hello(&link.to_server);
            if is_hung_up || server.health == Health::Closing {
                if link.seems_to_refuse() {
                    self.broke_hello_us = Some(self.now_us);
                }
                self.core.link_closed(id, Why::Ended, self.now_us);
                link.server.clear();
                is_read = true;
                continue;
            }
            if server.health == Health::Good {
                let (input, out) = (&mut link.to_server, &mut link.to_core);
                match self.terms.pool.protocol {
                    PoolProtocol::Memcache => memcached::serve(&mut server.store, input, out),
                    PoolProtocol::Redis => {
                        let mut spoken = redis::Spoken { version: link.version, newest: server.newest };
                        redis::serve(&mut server.store, &mut spoken, input, out);
                        link.version = spoken.version;
                    }
                }
            }
            let bytes = std::mem::take(&mut link.to_core);
            link.is_answered |= !bytes.is_empty();
            is_read |= !bytes.is_empty();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let most = rest.len().min(READ_BYTES);
                let length = if self.is_cutting {
                    piece(&mut self.random, most)
                } else {
                    self.first_bytes.take().map_or(most, |first| first.min(most))
                };
                self.core.link_read(id, &rest[..length], self.now_us);
                rest = &rest[length..];
            }
        }
        self.links.retain(|(_, link)| !link.server.is_empty());
        is_read
    }

    fn follow_effects(&mut self) {
        let mut effects = Vec::new();
        self.core.take_effects(&mut effects);
        for effect in effects {
            match effect {
                Effect::Connect { link, terms, server } => {
                    let server = terms.pool.servers[server].address.as_str().to_owned();
                    let moves = self.servers[&server].moves;
                    let (version, to_server, to_core) = (Version::Two, Vec::new(), Vec::new());
                    let (is_open, is_answered, ahead) = (false, false, 0);
                    let end = Link { server, moves, is_open, is_answered, version, ahead, to_server, to_core };
                    self.links.push((link, end));
                }
                Effect::CloseLink(id) => self.links.retain(|(known, _)| *known != id),
                Effect::CloseClient(id) => {
                    if let Some(number) = self.ids.remove(&id) {
                        self.client(number).is_closed = true;
                    }
                }
                Effect::Pause(id) => self.pause(id, true),
                Effect::Resume(id) => self.pause(id, false),
            }
        }
    }

    fn pause(&mut self, id: ClientId, is_paused: bool) {
        if let Some(number) = self.ids.get(&id) {
            self.clients.get_mut(number).unwrap().is_paused = is_paused;
        }
    }

    fn can_write(&self) -> bool {
        let (clients, links) = &self.unwritten;
        let takes = |id| self.ids.get(id).is_some_and(|number| !self.clients[number].is_slow);
        !links.is_empty() || clients.iter().any(takes)
    }

    /// Write what is to be written, not always all of it; what the network did not take is written later.
    fn write(&mut self) {
        let (mut clients, mut links) = std::mem::take(&mut self.unwritten);
        self.core.take_dirty(&mut clients, &mut links);
        while let Some(id) = links.pop() {
            links.retain(|known| *known != id);
            let Some((_, link)) = self.links.iter_mut().find(|(known, _)| *known == id) else { continue };
            let bytes = self.core.link_output(id);
            if bytes.is_empty() {
                continue;
            }
            let length = taken(&mut self.random, self.is_cutting, bytes.len() - link.ahead);
            link.to_server.extend_from_slice(&bytes[link.ahead..][..length]);
            link.ahead += length;
            // With TLS bytes are on their way, or there, before they count as written.
            let is_told = !self.is_cutting || !self.random.is_so(200);
            if link.ahead < bytes.len() || !is_told {
                self.unwritten.1.push(id);
            }
            if is_told {
                self.core.link_wrote(id, std::mem::take(&mut link.ahead), self.now_us);
            }
        }
        while let Some(id) = clients.pop() {
            clients.retain(|known| *known != id);
            let Some(number) = self.ids.get(&id) else { continue };
            let client = self.clients.get_mut(number).unwrap();
            let bytes = self.core.client_output(id);
            if bytes.is_empty() {
                continue;
            }
            if client.is_slow {
                self.unwritten.0.push(id);
                continue;
            }
            let length = taken(&mut self.random, self.is_cutting, bytes.len());
            client.got.extend_from_slice(&bytes[..length]);
            if length < bytes.len() {
                self.unwritten.0.push(id);
            }
            self.core.client_wrote(id, length, self.now_us);
        }
    }
}

/// Return how many of so many bytes the network takes now.
fn taken(random: &mut Random, is_cutting: bool, bytes: usize) -> usize {
    if is_cutting && random.is_so(300) { piece(random, bytes) } else { bytes }
}
