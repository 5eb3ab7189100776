//! A small world around the core: fake servers that speak real bytes, a network that cuts them anywhere, a clock.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests share it, each uses some of it, and fails by panicking"
)]

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
use random::Random;

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

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Good,
    /// It takes what it is sent and says nothing, until it is good again: then it answers all.
    Silent,
    /// It refuses connections.
    Dead,
    /// Connecting to it takes for ever.
    Unreachable,
}

/// A server.
pub struct Server {
    pub health: Health,
    pub store: HashMap<Vec<u8>, Vec<u8>>,
    /// Connections it ever took.
    pub accepted: usize,
}

/// A link's other end.
struct Link {
    server: String,
    is_open: bool,
    to_server: Vec<u8>,
    to_core: Vec<u8>,
}

/// A client's other end.
#[derive(Default)]
pub struct Client {
    pub to_core: Vec<u8>,
    pub got: Vec<u8>,
    pub is_paused: bool,
    pub is_closed: bool,
    /// It reads nothing while it is so.
    pub is_slow: bool,
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
    protocol: PoolProtocol,
    /// Whether bytes arrive in pieces.
    pub is_cutting: bool,
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
            protocol: terms.pool.protocol,
            is_cutting: true,
        };
        world.know(terms);
        world
    }

    fn know(&mut self, terms: &Terms) {
        for server in &terms.pool.servers {
            let new = Server { health: Health::Good, store: HashMap::new(), accepted: 0 };
            self.servers.entry(server.address.as_str().to_owned()).or_insert(new);
        }
    }

    pub fn apply(&mut self, terms: &Arc<Terms>) {
        self.know(terms);
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

    /// All links of a server break.
    pub fn break_links(&mut self, index: usize, why: Why) {
        let address = format!("127.0.0.1:{}", 7000 + index);
        let mut broken = Vec::new();
        self.links.retain(|(id, link)| {
            let is_its = link.server == address;
            if is_its {
                broken.push(*id);
            }
            !is_its
        });
        broken.into_iter().for_each(|id| self.core.link_closed(id, why, self.now_us));
    }

    /// Let a turn pass that takes so long.
    pub fn step(&mut self, us: u64) {
        self.now_us += us;
        self.read_clients();
        self.read_links();
        self.core.turn(self.now_us);
        self.follow_effects();
        self.write();
        self.follow_effects();
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

    fn read_clients(&mut self) {
        let numbers: Vec<usize> = self.clients.keys().copied().collect();
        for number in numbers {
            let id = self.by_number[&number];
            let client = self.clients.get_mut(&number).unwrap();
            if client.is_paused || client.is_closed {
                continue;
            }
            let bytes = std::mem::take(&mut client.to_core);
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let length = if self.is_cutting { piece(&mut self.random, rest.len()) } else { rest.len() };
                self.core.client_read(id, &rest[..length], self.now_us);
                rest = &rest[length..];
            }
        }
    }

    fn read_links(&mut self) {
        for at in 0..self.links.len() {
            let (id, link) = &mut self.links[at];
            let server = self.servers.get_mut(&link.server).unwrap();
            let id = *id;
            if !link.is_open {
                match server.health {
                    Health::Good | Health::Silent => {
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
            if server.health == Health::Good {
                let serve = match self.protocol {
                    PoolProtocol::Memcache => memcached::serve,
                    PoolProtocol::Redis => redis::serve,
                };
                serve(&mut server.store, &mut link.to_server, &mut link.to_core);
            }
            let bytes = std::mem::take(&mut link.to_core);
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let length = if self.is_cutting { piece(&mut self.random, rest.len()) } else { rest.len() };
                self.core.link_read(id, &rest[..length], self.now_us);
                rest = &rest[length..];
            }
        }
        self.links.retain(|(_, link)| !link.server.is_empty());
    }

    fn follow_effects(&mut self) {
        let mut effects = Vec::new();
        self.core.take_effects(&mut effects);
        for effect in effects {
            match effect {
                Effect::Connect { link, terms, server } => {
                    let server = terms.pool.servers[server].address.as_str().to_owned();
                    let end = Link { server, is_open: false, to_server: Vec::new(), to_core: Vec::new() };
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

    /// Write what is to be written, not always all of it.
    fn write(&mut self) {
        self.core.take_dirty(&mut Vec::new(), &mut Vec::new());
        for (id, link) in &mut self.links {
            let bytes = self.core.link_output(*id);
            let length = if self.is_cutting && self.random.is_so(300) {
                piece(&mut self.random, bytes.len())
            } else {
                bytes.len()
            };
            link.to_server.extend_from_slice(&bytes[..length]);
            self.core.link_wrote(*id, length, self.now_us);
        }
        let open: Vec<(ClientId, usize)> = self.ids.iter().map(|(id, number)| (*id, *number)).collect();
        for (id, number) in open {
            let client = self.clients.get_mut(&number).unwrap();
            if client.is_slow {
                continue;
            }
            let bytes = self.core.client_output(id);
            let length = if self.is_cutting && self.random.is_so(300) {
                piece(&mut self.random, bytes.len())
            } else {
                bytes.len()
            };
            client.got.extend_from_slice(&bytes[..length]);
            self.core.client_wrote(id, length, self.now_us);
        }
    }
}
