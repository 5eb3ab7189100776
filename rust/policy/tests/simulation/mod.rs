//! A shard, its routers and what befalls them, in one queue of events; a seed repeats all of it.
//!
//! Time is a number. A message takes a while, and longer when it is lost; requests, answers and probes are events. What is
//! tried while a node or the way to it is away is tried again by the "kernel" until its time is over, as TCP does.

pub mod faults;
pub mod fleet;
pub mod ledger;
pub mod random;
pub mod router;

use alongside_policy::budget;
use alongside_policy::health::{Answer, Attempt, Change, Look, Reason};
use fleet::{Condition, Node, Path, delay_ms};
use ledger::{Cause, FREEZE_MS, Ledger, Refusal};
use random::Random;
use router::{ATTEMPTS_MAX, CONNECT_TIMEOUT_MS, PROBE_TIMEOUT_MS, Router};
use std::collections::BTreeMap;

/// How often a message whose receiver is away is sent again.
const RESEND_MS: u64 = 100;

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Turn { node: usize, condition: Condition },
    Errors { node: usize, is_on: bool },
    Slow { node: usize, is_on: bool },
    Cut { router: usize, node: usize, is_on: bool },
    Heal,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Request { router: usize },
    AtNode { send: usize },
    Served { send: usize, process: u32 },
    Ended { send: usize, end: End },
    ProbeStarts { router: usize, node: usize },
    ProbeAtNode { router: usize, node: usize, asked_ms: u64 },
    ProbeEnds { router: usize, node: usize, asked_ms: u64, warmth: Option<u8> },
    Fault(Fault),
    StillFrozen { node: usize, since_ms: u64 },
}

/// How an attempt ended, as the router sees it.
#[derive(Clone, Copy, Debug)]
enum End {
    NoConnection,
    Reset,
    Answered { is_error: bool },
}

/// One request sent to one node.
struct Send {
    router: usize,
    node: usize,
    asked_ms: u64,
    /// Nodes that the request was sent to, this one included.
    tried: u64,
    /// How often it was sent, this time included.
    attempts: u32,
    is_new_connection: bool,
    /// The router no longer waits for it.
    is_over: bool,
}

/// How often what happened, by a word.
pub type Told = BTreeMap<String, u64>;

pub struct World {
    pub now_ms: u64,
    pub nodes: Vec<Node>,
    pub routers: Vec<Router>,
    pub ledgers: Vec<Ledger>,
    pub random: Random,
    /// Between two requests of a router, on average.
    pub gap_ms: u64,
    pub loss_per_mille: u64,
    paths: Vec<Vec<Path>>,
    sends: Vec<Send>,
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
}

impl World {
    pub fn new(nodes: usize, routers: usize, retries: budget::Settings, random: Random) -> Self {
        let mut world = Self {
            now_ms: 0,
            nodes: (0..nodes).map(|_| Node::new()).collect(),
            routers: (0..routers).map(|_| Router::new(nodes, retries)).collect(),
            ledgers: (0..routers).map(|_| Ledger::new(nodes, retries)).collect(),
            random,
            gap_ms: 40,
            loss_per_mille: 0,
            paths: vec![vec![Path::default(); nodes]; routers],
            sends: Vec::new(),
            events: BTreeMap::new(),
            scheduled: 0,
        };
        for router in 0..routers {
            let first_ms = world.random.below(50);
            world.schedule(first_ms, Event::Request { router });
            for node in 0..nodes {
                let first_ms = world.random.below(router::HEALTH.interval_ms);
                world.schedule(first_ms, Event::ProbeStarts { router, node });
            }
        }
        world
    }

    pub fn befall(&mut self, at_ms: u64, fault: Fault) {
        self.schedule(at_ms, Event::Fault(fault));
    }

    /// Go on until then.
    pub fn run_until(&mut self, end_ms: u64) {
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 >= end_ms {
                break;
            }
            self.now_ms = entry.key().0;
            let event = entry.remove();
            self.handle(event);
            for (ledger, router) in self.ledgers.iter().zip(&self.routers) {
                ledger.check(router, self.now_ms);
            }
        }
        self.now_ms = end_ms;
    }

    /// How often what happened, of all routers.
    pub fn told(&self) -> Told {
        let mut told = Told::new();
        for (word, count) in self.ledgers.iter().flat_map(|ledger| &ledger.told) {
            *told.entry(word.clone()).or_default() += count;
        }
        told
    }

    /// Requests that are still waiting and came before then.
    pub fn waiting_since(&self, before_ms: u64) -> usize {
        self.sends.iter().filter(|send| !send.is_over && send.asked_ms < before_ms).count()
    }

    fn schedule(&mut self, at_ms: u64, event: Event) {
        self.scheduled += 1;
        self.events.insert((at_ms.max(self.now_ms), self.scheduled), event);
    }

    fn schedule_message(&mut self, event: Event) {
        let delay_ms = delay_ms(&mut self.random, self.loss_per_mille);
        self.schedule(self.now_ms + delay_ms, event);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Request { router } => self.request(router),
            Event::AtNode { send } => self.at_node(send),
            Event::Served { send, process } => self.served(send, process),
            Event::Ended { send, end } => self.ended(send, end),
            Event::ProbeStarts { router, node } => {
                let asked_ms = self.now_ms;
                self.schedule_message(Event::ProbeAtNode { router, node, asked_ms });
            }
            Event::ProbeAtNode { router, node, asked_ms } => self.probe_at_node(router, node, asked_ms),
            Event::ProbeEnds { router, node, asked_ms, warmth } => self.probe_ends(router, node, asked_ms, warmth),
            Event::Fault(fault) => self.fault(fault),
            Event::StillFrozen { node, since_ms } => self.still_frozen(node, since_ms),
        }
    }

    fn request(&mut self, router: usize) {
        let next_ms = self.now_ms + 1 + self.random.below(2 * self.gap_ms - 1);
        self.schedule(next_ms, Event::Request { router });
        self.routers[router].budget.roll(self.now_ms, 1);
        self.ledgers[router].requested(self.now_ms);
        self.send(router, 0, 0);
    }

    /// Send a request to a replica that it was not sent to yet, if one is usable, or to one that is usable again, or to none.
    fn send(&mut self, router: usize, tried: u64, attempts: u32) {
        if attempts >= ATTEMPTS_MAX {
            return self.refuse(router, Refusal::AttemptsMax);
        }
        let draw = self.random.next();
        let Some(node) = self.routers[router].choose(tried, self.now_ms, draw) else {
            return self.refuse(router, Refusal::NoneUsable);
        };
        if attempts > 0 {
            if !self.routers[router].budget.withdraw(self.now_ms) {
                return self.refuse(router, Refusal::NoBudget);
            }
            self.ledgers[router].retried(self.now_ms);
        }
        self.ledgers[router].sent(node, &self.nodes[node], self.now_ms);
        self.routers[router].in_flight[node] += 1;
        let is_new_connection = attempts > 0 || self.random.is_so(300);
        let (asked_ms, tried, attempts) = (self.now_ms, tried | 1 << node, attempts + 1);
        self.sends.push(Send { router, node, asked_ms, tried, attempts, is_new_connection, is_over: false });
        self.schedule_message(Event::AtNode { send: self.sends.len() - 1 });
    }

    fn refuse(&mut self, router: usize, refusal: Refusal) {
        self.ledgers[router].refuse(refusal, &self.nodes, &self.paths[router], self.now_ms);
    }

    fn at_node(&mut self, send: usize) {
        let Send { router, node, asked_ms, is_over, .. } = self.sends[send];
        if is_over {
            return;
        }
        let is_away = self.paths[router][node].is_cut || self.nodes[node].condition == Condition::Gone;
        if is_away && self.now_ms >= asked_ms + CONNECT_TIMEOUT_MS {
            self.ended(send, End::NoConnection);
        } else if is_away {
            self.schedule(self.now_ms + RESEND_MS, Event::AtNode { send });
        } else if self.nodes[node].condition == Condition::Down {
            self.schedule_message(Event::Ended { send, end: End::NoConnection });
        } else {
            let served_ms = self.now_ms + self.nodes[node].latency_ms(&mut self.random);
            self.schedule(served_ms, Event::Served { send, process: self.nodes[node].process });
        }
    }

    fn served(&mut self, send: usize, process: u32) {
        let Send { router, node, is_over, .. } = self.sends[send];
        if is_over {
            return;
        }
        let state = &mut self.nodes[node];
        let is_away = self.paths[router][node].is_cut || matches!(state.condition, Condition::Frozen | Condition::Gone);
        if is_away {
            self.schedule(self.now_ms + RESEND_MS, Event::Served { send, process });
        } else if state.process != process {
            self.schedule_message(Event::Ended { send, end: End::Reset });
        } else {
            state.answered += 1;
            let is_error = state.has_errors;
            self.schedule_message(Event::Ended { send, end: End::Answered { is_error } });
        }
    }

    fn ended(&mut self, send: usize, end: End) {
        if self.sends[send].is_over {
            return;
        }
        self.give_up(send);
        let Send { router, node, asked_ms, tried, attempts, is_new_connection, .. } = self.sends[send];
        let attempt = Attempt { asked_ms, now_ms: self.now_ms };
        let health = &mut self.routers[router].healths[node];
        let change = match end {
            End::NoConnection => {
                self.ledgers[router].connection_failed(node, &self.nodes[node]);
                health.connect_failed(attempt)
            }
            End::Reset if is_new_connection => health.closed_early(attempt),
            End::Reset => None,
            End::Answered { is_error: true } => health.answered(Answer::Error, attempt),
            End::Answered { is_error: false } => {
                health.answered(Answer::Good { latency_us: (self.now_ms - asked_ms) * 1_000 }, attempt)
            }
        };
        self.changed(router, node, change, Cause::Other);
        if !matches!(end, End::Answered { .. }) {
            self.send(router, tried, attempts);
        }
    }

    fn give_up(&mut self, send: usize) {
        let Send { router, node, .. } = self.sends[send];
        self.sends[send].is_over = true;
        self.routers[router].in_flight[node] -= 1;
    }

    fn probe_at_node(&mut self, router: usize, node: usize, asked_ms: u64) {
        let too_late_ms = asked_ms + PROBE_TIMEOUT_MS;
        let state = &self.nodes[node];
        let is_silent =
            self.paths[router][node].is_cut || matches!(state.condition, Condition::Frozen | Condition::Gone);
        if is_silent {
            self.schedule(too_late_ms, Event::ProbeEnds { router, node, asked_ms, warmth: None });
            return;
        }
        let warmth = (state.condition == Condition::Up).then(|| state.warmth(self.now_ms));
        let back_ms = self.now_ms + 1 + delay_ms(&mut self.random, self.loss_per_mille);
        let warmth = warmth.filter(|_| back_ms < too_late_ms);
        self.schedule(back_ms.min(too_late_ms), Event::ProbeEnds { router, node, asked_ms, warmth });
    }

    fn probe_ends(&mut self, router: usize, node: usize, asked_ms: u64, warmth: Option<u8>) {
        let attempt = Attempt { asked_ms, now_ms: self.now_ms };
        let health = &mut self.routers[router].healths[node];
        if let Some(warmth) = warmth {
            health.set_warmth(warmth);
        }
        let (look, cause) = match warmth {
            Some(_) => (Look::Good, Cause::GoodProbe { asked_ms }),
            None => (Look::Bad, Cause::Other),
        };
        let change = health.probed(look, attempt);
        let next_ms = asked_ms + health.probe_interval_ms();
        self.changed(router, node, change, cause);
        self.weigh(router);
        self.schedule(next_ms, Event::ProbeStarts { router, node });
    }

    /// Do what a shell does with a change: write it down, weigh the shard, and move what waits on a node that is away.
    fn changed(&mut self, router: usize, node: usize, change: Option<Change>, cause: Cause) {
        let Some(change) = change else { return };
        self.ledgers[router].changed(node, change, cause, &self.routers[router], self.now_ms);
        self.weigh(router);
        if matches!(change, Change::Left(Reason::Unreachable | Reason::ProbeFailed)) {
            let is_meant = |send: &Send| !send.is_over && send.router == router && send.node == node;
            let waiting: Vec<usize> = (0..self.sends.len()).filter(|&at| is_meant(&self.sends[at])).collect();
            for send in waiting {
                self.give_up(send);
                let Send { tried, attempts, .. } = self.sends[send];
                self.send(router, tried, attempts);
            }
        }
    }

    fn weigh(&mut self, router: usize) {
        let usable = self.routers[router].usable();
        for (node, change) in self.routers[router].weigh(self.now_ms) {
            let cause = Cause::Weighed { usable };
            self.ledgers[router].changed(node, change, cause, &self.routers[router], self.now_ms);
        }
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Turn { node, condition } => {
                self.nodes[node].turn(condition, self.now_ms);
                if condition == Condition::Frozen {
                    self.schedule(self.now_ms + FREEZE_MS, Event::StillFrozen { node, since_ms: self.now_ms });
                }
            }
            Fault::Errors { node, is_on } => self.nodes[node].has_errors = is_on,
            Fault::Slow { node, is_on } => self.nodes[node].is_slow = is_on,
            Fault::Cut { router, node, is_on } => {
                self.paths[router][node] = Path { is_cut: is_on, since_ms: self.now_ms };
            }
            Fault::Heal => self.heal(),
        }
    }

    fn heal(&mut self) {
        self.loss_per_mille = 0;
        for node in &mut self.nodes {
            (node.has_errors, node.is_slow) = (false, false);
            if node.condition != Condition::Up {
                node.turn(Condition::Up, self.now_ms);
            }
        }
        for path in self.paths.iter_mut().flatten().filter(|path| path.is_cut) {
            *path = Path { is_cut: false, since_ms: self.now_ms };
        }
    }

    fn still_frozen(&mut self, node: usize, since_ms: u64) {
        let state = &self.nodes[node];
        if state.condition == Condition::Frozen && state.since_ms == since_ms {
            for (at, router) in self.routers.iter().enumerate() {
                self.ledgers[at].tell("StillFrozen".to_owned());
                assert!(router.reason(node).is_some(), "router {at} uses node {node}, frozen since {since_ms}");
            }
        }
    }
}
