//! One thread's loop: all that is readable is read, the core decides, and what is to be written is written once.

use super::commands::Command;
use super::connection::{Connection, Got};
use super::connectors::Kept;
use super::hold::Hold;
use super::leaving::Leaving;
use super::links::Link;
use super::socket::Socket;
use super::who::Who;
use super::{Clock, Common};
use crate::core::{ClientId, Core, Effect, LinkId, Terms, give_back};
use alongside_transport::accept::Failures;
use alongside_transport::admission::Admitted;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::HashSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Bytes read from a connection in one turn at most.
const READ_BYTES: usize = 64 * 1024;
/// Events of one turn.
const EVENTS: usize = 1024;
/// After a turn in which so many were to be read from others run first, where they wait for the processor: most of them are who
/// was just written to, and what they say is read in one turn and not in several. One who asks alone seldom waits for others.
const SEVERAL: usize = 2;
/// Rounds of effects in one turn; what follows them waits for the next.
const EFFECT_ROUNDS: usize = 8;
/// Bytes written to a connection in one turn at most: others have their turn before the rest.
const WRITE_BYTES: usize = 1024 * 1024;

/// The token of commands.
pub(crate) const COMMANDS: Token = Token(usize::MAX);
pub(crate) const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// A client as the reactor knows it.
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) pool: Arc<str>,
    pub(super) connection: Connection,
    pub(super) is_paused: bool,
    /// It sends no more.
    pub(super) has_ended: bool,
    pub(super) _admitted: Admitted,
}

/// A thread's sockets and its core.
pub(crate) struct Reactor {
    poll: Poll,
    pub(super) core: Core,
    pub(super) seed: u64,
    pub(super) clients: Vec<Option<Client>>,
    pub(super) links: Vec<Option<Link>>,
    pub(super) commands: Receiver<Command>,
    clock: Clock,
    pub(super) now_us: u64,
    pub(super) common: Common,
    pub(super) connectors: Kept,
    /// Pools and servers to which TLS failed, which is told once until something comes from there.
    pub(super) tls_told: HashSet<(String, String)>,
    /// Connections that could not be made for want of something of our own.
    pub(super) failures: Failures,
    /// When the addresses are given up that links are about to connect to, where there are others.
    pub(super) patience: Vec<(u64, LinkId)>,
    leaving: Leaving,
    pub(super) applied: Vec<Arc<Terms>>,
    pub(super) is_draining: bool,
    /// When clients are told to end, after the word to drain: until then each may ask what it is about to.
    pub(super) drain_at_us: Option<u64>,
    scratch: Vec<u8>,
    /// What is to be read from.
    listed: Vec<Who>,
    /// How many were to be read from in this turn.
    reads: usize,
    /// Room for the next turn's.
    spare: Vec<Who>,
    /// What can be written to again.
    pub(super) unblocked: Vec<Who>,
    effects: Vec<Effect>,
    /// Room for what is to be written, with the links that wait while the hold is on.
    pub(super) dirty: (Vec<ClientId>, Vec<LinkId>),
    /// Effects are left over.
    is_due: bool,
    /// Whether servers wait for what else is asked.
    pub(super) hold: Hold,
    /// Whose work is being done.
    pub(super) at: Option<Who>,
}

impl Reactor {
    /// Returns a loop that has not begun, and what wakes it.
    pub(crate) fn new(
        seed: u64,
        clock: Clock,
        commands: Receiver<Command>,
        common: Common,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), COMMANDS)?;
        let reactor = Self {
            poll,
            core: Core::new(seed),
            seed,
            clients: Vec::new(),
            links: Vec::new(),
            commands,
            clock,
            now_us: 0,
            common,
            connectors: Kept::default(),
            tls_told: HashSet::new(),
            failures: Failures::default(),
            patience: Vec::new(),
            leaving: Leaving::default(),
            applied: Vec::new(),
            is_draining: false,
            drain_at_us: None,
            scratch: vec![0; READ_BYTES],
            listed: Vec::new(),
            reads: 0,
            spare: Vec::new(),
            unblocked: Vec::new(),
            effects: Vec::new(),
            dirty: (Vec::new(), Vec::new()),
            is_due: false,
            hold: Hold::default(),
            at: None,
        };
        Ok((reactor, waker))
    }

    /// Runs for ever.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            if self.reads >= SEVERAL {
                std::thread::yield_now();
            }
            if let Err(error) = self.poll.poll(&mut events, self.wait()) {
                if error.kind() != io::ErrorKind::Interrupted {
                    tracing::error!(event = "poll_failed", error = %error);
                    std::thread::sleep(Duration::from_millis(10));
                }
                continue;
            }
            if catch_unwind(AssertUnwindSafe(|| self.turn(&events))).is_err() {
                self.recover();
            }
        }
    }

    fn wait(&self) -> Option<Duration> {
        if self.is_due || self.hold.is_on() || !self.listed.is_empty() || !self.unblocked.is_empty() {
            return Some(Duration::ZERO);
        }
        let drain_us = self.drain_at_us.filter(|_| !self.is_draining);
        let patience = self.patience.iter().map(|(at_us, _)| *at_us);
        let next =
            self.core.next_us().into_iter().chain(drain_us).chain(patience).chain(self.leaving.next_us()).min()?;
        Some(Duration::from_micros(next.saturating_sub(self.clock.now_us())))
    }

    fn turn(&mut self, events: &Events) {
        self.now_us = self.clock.now_us();
        self.is_due = false;
        if self.hold.is_overdue(self.now_us) {
            // Before anybody looks at what servers should have answered.
            self.hold.end();
            let mut links = std::mem::take(&mut self.dirty.1);
            self.write_links(&mut links);
            self.dirty.1 = links;
        }
        self.take_commands();
        for event in events.iter().filter(|event| event.token() != COMMANDS) {
            self.note(Who::of(event.token()), event);
        }
        self.read_listed();
        self.at = None;
        if !self.is_draining && self.drain_at_us.is_some_and(|at_us| at_us <= self.now_us) {
            self.is_draining = true;
            self.core.drain(self.now_us);
        }
        self.leave_silent();
        self.leaving.look(&mut self.scratch, self.now_us);
        self.core.turn(self.now_us);
        self.do_effects();
        self.write_dirty();
        // What was written may let clients go, or go on.
        self.do_effects();
    }

    /// Keeps in mind what the kernel says; it says it once.
    fn note(&mut self, who: Who, event: &mio::event::Event) {
        if let Who::Link(index) = who
            && event.is_writable()
            && self.is_connecting(index)
        {
            self.connect_on(index);
            if self.is_connecting(index) {
                // It tries the next address: what was said is of the one before.
                return;
            }
        }
        let Some(connection) = self.connection(who) else { return };
        if event.is_writable() && connection.is_blocked {
            connection.is_blocked = false;
            self.unblocked.push(who);
        }
        let Some(connection) = self.connection(who) else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            connection.is_readable = true;
            connection.is_ending |= event.is_read_closed() || event.is_error();
            self.list(who);
        }
    }

    pub(super) fn connection(&mut self, who: Who) -> Option<&mut Connection> {
        match who {
            Who::Client(index) => self.clients.get_mut(index)?.as_mut().map(|client| &mut client.connection),
            Who::Link(index) => self.links.get_mut(index)?.as_mut()?.connection.as_mut(),
        }
    }

    pub(super) fn list(&mut self, who: Who) {
        if let Some(connection) = self.connection(who)
            && !std::mem::replace(&mut connection.is_listed, true)
        {
            self.listed.push(who);
        }
    }

    /// Has a link read from in this turn or the next, if there is something.
    pub(super) fn list_link(&mut self, index: usize) {
        self.list(Who::Link(index));
    }

    /// Has a link's TLS say what it has to say.
    pub(super) fn flush_link(&mut self, index: usize) {
        self.unblocked.push(Who::Link(index));
    }

    /// Reads from everything that is readable, once.
    fn read_listed(&mut self) {
        let mut listed = std::mem::replace(&mut self.listed, std::mem::take(&mut self.spare));
        self.reads = listed.len();
        for who in listed.drain(..) {
            self.at = Some(who);
            match who {
                Who::Client(index) => self.read_client(index),
                Who::Link(index) => self.read_link(index),
            }
        }
        self.spare = listed;
    }

    fn read_client(&mut self, index: usize) {
        let Some(Some(client)) = self.clients.get_mut(index) else { return };
        client.connection.is_listed = false;
        if client.is_paused || client.has_ended || !client.connection.is_readable {
            return;
        }
        let id = client.id;
        let got = client.connection.read(&mut self.scratch);
        client.connection.is_readable = matches!(got, Ok(Got::Bytes(_)));
        client.has_ended = matches!(got, Ok(Got::End));
        if client.connection.wants_write() {
            self.unblocked.push(Who::Client(index));
        }
        if let Ok(Got::Bytes(count) | Got::Last(count)) = got {
            self.hold.ask(count);
        }
        match got {
            Ok(Got::Bytes(count)) => {
                self.list(Who::Client(index));
                self.core.client_read(id, &self.scratch[..count], self.now_us);
            }
            Ok(Got::Last(count)) => self.core.client_read(id, &self.scratch[..count], self.now_us),
            Ok(Got::Nothing) => {}
            Ok(Got::End) => self.core.client_eof(id, self.now_us),
            Err(_) => self.client_failed(index),
        }
    }

    pub(super) fn client_failed(&mut self, index: usize) {
        if let Some(client) = self.take_client_at(index) {
            self.core.client_failed(client.id, self.now_us);
        }
    }

    fn read_link(&mut self, index: usize) {
        let Some(Some(link)) = self.links.get_mut(index) else { return };
        let id = link.id;
        let Some(connection) = &mut link.connection else { return };
        connection.is_listed = false;
        if link.is_connecting || !connection.is_readable {
            return;
        }
        let was_shaking = connection.is_handshaking();
        let got = connection.read(&mut self.scratch);
        connection.is_readable = matches!(got, Ok(Got::Bytes(_)));
        let (is_shaking, wants_write) = (connection.is_handshaking(), connection.wants_write());
        if wants_write {
            self.flush_link(index);
        }
        if was_shaking && !is_shaking && got.is_ok() {
            self.core.link_connected(id, self.now_us);
        }
        if !self.tls_told.is_empty() && matches!(got, Ok(Got::Bytes(_) | Got::Last(_))) {
            self.is_secured(index);
        }
        match got {
            Ok(Got::Bytes(count)) => {
                self.list_link(index);
                self.core.link_read(id, &self.scratch[..count], self.now_us);
            }
            Ok(Got::Last(count)) => self.core.link_read(id, &self.scratch[..count], self.now_us),
            Ok(Got::Nothing) => {}
            Ok(Got::End) => self.link_ended(index),
            Err(error) => self.link_failed(index, &error),
        }
    }

    /// Does what the core wants, and what follows from it.
    fn do_effects(&mut self) {
        for _ in 0..EFFECT_ROUNDS {
            let mut effects = std::mem::take(&mut self.effects);
            self.core.take_effects(&mut effects);
            if effects.is_empty() {
                self.effects = effects;
                return;
            }
            for effect in effects.drain(..) {
                self.do_effect(effect);
            }
            self.effects = effects;
        }
        self.is_due = true;
    }

    fn do_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { link, terms, server } => self.connect(link, terms, server),
            Effect::CloseLink(link) => self.close_link(link),
            Effect::CloseClient(id) => {
                if let Some(mut client) = self.take_client(id) {
                    // Its number may be another client's from now on.
                    let _ = self.poll.registry().deregister(&mut client.connection.socket);
                    self.leaving.take(client.connection, &mut self.scratch, self.now_us);
                }
            }
            Effect::Pause(id) => {
                if let Some(client) = self.client(id) {
                    client.is_paused = true;
                }
            }
            Effect::Resume(id) => {
                if let Some(client) = self.client(id) {
                    client.is_paused = false;
                    if client.connection.is_readable {
                        self.list(Who::Client(id.index()));
                    }
                }
            }
        }
    }

    fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(id.index())?.as_mut().filter(|client| client.id == id)
    }

    fn take_client(&mut self, id: ClientId) -> Option<Client> {
        self.client(id)?;
        self.take_client_at(id.index())
    }

    fn take_client_at(&mut self, index: usize) -> Option<Client> {
        let client = self.clients.get_mut(index)?.take();
        give_back(&mut self.clients, Option::is_none);
        client
    }

    /// Writes to everything that has something new to be written, and to what takes something again; to servers, where many
    /// clients ask, in one of the next turns.
    fn write_dirty(&mut self) {
        let (mut clients, mut links) = std::mem::take(&mut self.dirty);
        self.core.take_dirty(&mut clients, &mut links);
        for who in std::mem::take(&mut self.unblocked) {
            match who {
                Who::Client(index) => clients.extend(self.clients.get(index).and_then(Option::as_ref).map(|it| it.id)),
                Who::Link(index) => links.extend(self.links.get(index).and_then(Option::as_ref).map(|it| it.id)),
            }
        }
        if !self.hold.end_turn(self.now_us) {
            self.write_links(&mut links);
        }
        for id in clients.drain(..) {
            self.at = Some(Who::Client(id.index()));
            self.write_client(id);
        }
        self.at = None;
        self.dirty = (clients, links);
    }

    fn write_links(&mut self, links: &mut Vec<LinkId>) {
        for id in links.drain(..) {
            self.at = Some(Who::Link(id.index()));
            self.write_link(id);
        }
        self.at = None;
    }

    fn write_client(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id.index()).and_then(Option::as_mut).filter(|it| it.id == id) else {
            return;
        };
        let output = self.core.client_output(id);
        if client.connection.is_blocked || (output.is_empty() && !client.connection.wants_write()) {
            return;
        }
        let offered = &output[..output.len().min(WRITE_BYTES)];
        match client.connection.write(offered) {
            Ok(0) => {}
            Ok(count) => {
                if count == WRITE_BYTES {
                    self.unblocked.push(Who::Client(id.index()));
                }
                self.core.client_wrote(id, count, self.now_us);
            }
            Err(_) => self.client_failed(id.index()),
        }
    }

    fn write_link(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id.index()).and_then(Option::as_mut).filter(|link| link.id == id) else {
            return;
        };
        let Some(connection) = link.connection.as_mut().filter(|_| !link.is_connecting) else { return };
        if connection.is_blocked {
            return;
        }
        let output = self.core.link_output(id);
        if output.is_empty() && !connection.wants_write() {
            return;
        }
        let offered = &output[..output.len().min(WRITE_BYTES)];
        match connection.write(offered) {
            Ok(0) => {}
            Ok(count) => {
                if count == WRITE_BYTES {
                    self.unblocked.push(Who::Link(id.index()));
                }
                self.core.link_wrote(id, count, self.now_us);
            }
            Err(error) => self.link_failed(id.index(), &error),
        }
    }

    pub(super) fn register(&self, socket: &mut Socket, who: Who) -> io::Result<()> {
        self.poll.registry().register(socket, who.token(), BOTH)
    }

    pub(super) fn register_link(&self, socket: &mut Socket, index: usize) -> io::Result<()> {
        self.register(socket, Who::Link(index))
    }
}
