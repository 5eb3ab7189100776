//! A client's connection: requests one after the other, each let in by the guard, until either side has enough.

use crate::access::Line;
use crate::answer;
use crate::body::BodyReader;
use crate::course::Trail;
use crate::entry::Caller;
use crate::exchange::{Exchange, write_whole};
use crate::listener::{Listener, State};
use crate::service::{Arrival, Facts, Service, Stream};
use alongside_protocols::{Body, Peer, Reason, RequestHead, guard, scratch};
use alongside_transport::{Buffer, Deadline, buffer, random};
use arc_swap::Cache;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// Bytes of an unwanted body that are read and dropped before the connection ends instead.
const DRAIN_BYTES_MAX: usize = 64 * 1024;

/// How long to read on after the last answer, so that a reset does not overtake it.
const LINGER: Duration = Duration::from_secs(2);

/// How much to read on at most.
const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What becomes of a connection.
enum Next {
    /// Nothing came for a while: it waits for a request, without any memory for one.
    Idle,
    /// It ends in order.
    Close,
    /// It is of no further use.
    Drop,
    /// It is of no further use, and an answer on it may be cut.
    Cut,
}

/// Serves a connection to its end.
pub async fn serve<S: Stream, V: Service>(mut client: S, caller: &Caller, listener: &Listener<V>) {
    let deadline = Deadline::new();
    let mut input = Buffer::new();
    let mut served = 0;
    deadline.set_idle(listener.state.load().limits.idle_timeout_ms);
    loop {
        match deadline.within(input.fill(&mut client, buffer::BUFFER_BYTES)).await {
            Ok(Ok(1..)) => {}
            _ => return,
        }
        // The busy part is large; ten thousand idle connections must not each carry it. It outlives a short pause, as making
        // it anew costs a client that goes on at once more than parsing its request does.
        let turn = Turn { client: &mut client, input: &mut input, deadline: &deadline, caller, listener };
        match Box::pin(turn.run(&mut served)).await {
            Next::Idle => {}
            Next::Close => return Box::pin(linger(client, input, &deadline)).await,
            Next::Drop => return,
            Next::Cut => return client.cut(),
        }
    }
}

/// Ends our side, then reads on for a moment: data that nobody read would make the kernel send a reset, which can
/// destroy the answer on its way.
async fn linger<S: Stream>(mut client: S, mut input: Buffer, deadline: &Deadline) {
    deadline.set(u64::try_from(LINGER.as_millis()).unwrap_or(u64::MAX));
    let _ = deadline
        .within(async {
            if client.shutdown().await.is_err() {
                return;
            }
            let mut left = LINGER_BYTES_MAX;
            loop {
                input.consume(usize::MAX);
                match input.fill(&mut client, usize::MAX).await {
                    Ok(count @ 1..) if count <= left => left -= count,
                    _ => return,
                }
            }
        })
        .await;
}

/// The busy part of a connection: while bytes are there.
struct Turn<'t, S, V> {
    client: &'t mut S,
    input: &'t mut Buffer,
    deadline: &'t Deadline,
    caller: &'t Caller,
    listener: &'t Listener<V>,
}

/// A request whose head was read.
struct Planned<P> {
    plan: P,
    facts: Facts,
    began: Instant,
    line: Option<Box<Line>>,
}

impl<S: Stream, V: Service> Turn<'_, S, V> {
    async fn run(mut self, served: &mut u32) -> Next {
        let mut output = buffer::take_output();
        // While a client goes on at once, asking whether there is another state costs less than taking hold of it anew.
        let mut states = Cache::new(&self.listener.state);
        let next = loop {
            if self.input.is_empty() {
                buffer::give_output(std::mem::take(&mut output));
                if let Err(next) = self.rest(states.load()).await {
                    return next;
                }
                output = buffer::take_output();
            }
            let state = states.load();
            output.clear();
            let planned = match self.read_head(state, &mut output).await {
                Ok(planned) => planned,
                Err(next) => break next,
            };
            *served += 1;
            let is_last = *served >= state.limits.requests_per_connection_max;
            if let Some(next) = self.answer(state, planned, is_last, &mut output).await {
                break next;
            }
        };
        buffer::give_output(output);
        next
    }

    /// Waits for the next request for a moment, without any buffer.
    async fn rest(&mut self, state: &State<V>) -> Result<(), Next> {
        self.input.rest();
        self.deadline.set_idle(state.limits.idle_timeout_ms);
        match self.deadline.briefly(self.input.fill(self.client, buffer::BUFFER_BYTES)).await {
            Ok(Some(Ok(1..))) => Ok(()),
            Ok(None) => Err(Next::Idle),
            _ => Err(Next::Drop),
        }
    }

    /// Reads one head and lets the service plan; refuses what the guard does not let in.
    async fn read_head(&mut self, state: &State<V>, output: &mut Vec<u8>) -> Result<Planned<V::Plan>, Next> {
        let limit = state.guard.head_bytes_max;
        let mut is_armed = false;
        let mut judged = 0;
        loop {
            let (before, came) = (judged, self.input.data().len());
            // A head that comes in drops is not read anew for each: only with a new line's end, or twice as much.
            if before > 0 && came < 2 * before && !self.input.data()[before..].contains(&b'\n') {
                self.fill_head(state, limit, output).await?;
                continue;
            }
            judged = came;
            match self.plan(state, output) {
                Ok(Some(planned)) => return Ok(planned),
                Ok(None) => {}
                Err(refusal) => {
                    self.listener.metrics.refused(refusal.reason.as_str());
                    return Err(self.refuse(refusal.status, refusal.reason.as_str(), state, output).await);
                }
            }
            if !is_armed {
                self.deadline.set(state.limits.head_timeout_ms);
                is_armed = true;
            }
            self.fill_head(state, limit, output).await?;
        }
    }

    /// Reads more of a head.
    async fn fill_head(&mut self, state: &State<V>, limit: usize, output: &mut Vec<u8>) -> Result<(), Next> {
        match self.deadline.within(self.input.fill(self.client, limit)).await {
            Ok(Ok(1..)) => Ok(()),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::OutOfMemory => {
                self.listener.metrics.refused("head_too_large");
                Err(self.refuse(431, "head_too_large", state, output).await)
            }
            Ok(_) => Err(Next::Drop),
            Err(_) => {
                self.listener.metrics.refused("head_timeout");
                Err(self.refuse(408, "the head came too slowly", state, output).await)
            }
        }
    }

    fn plan(
        &mut self,
        state: &State<V>,
        output: &mut Vec<u8>,
    ) -> Result<Option<Planned<V::Plan>>, alongside_protocols::Refusal> {
        let mut room = scratch();
        let Some(head) = guard::request(self.input.data(), &mut room, &state.guard)? else { return Ok(None) };
        let began = Instant::now();
        let caller = self.caller;
        if !caller.may_ask(head.authority, &state.entry) {
            return Err(Reason::Misdirected.into());
        }
        let is_inner = state.is_inner(caller.ip);
        let ip = if is_inner { forwarded_ip(&head).unwrap_or(caller.ip) } else { caller.ip };
        let arrival = Arrival { ip, peer: Peer { ip: &caller.text, scheme: caller.scheme() }, is_inner };
        let line = state.access_log.filter(|&one_in| random::one_in(one_in)).map(|_| Box::new(Line::of(&head, ip)));
        let plan = state.service.plan(&head, &arrival, output);
        let facts = Facts::of(&head);
        let head_bytes = head.head_bytes;
        self.input.consume(head_bytes);
        Ok(Some(Planned { plan, facts, began, line }))
    }

    async fn answer(
        &mut self,
        state: &Arc<State<V>>,
        planned: Planned<V::Plan>,
        is_last: bool,
        output: &mut Vec<u8>,
    ) -> Option<Next> {
        let Planned { plan, facts, began, line } = planned;
        let body = match facts.body {
            Body::None => None,
            body => Some(BodyReader::new(body, &state.guard).at_most(state.limits.body_bytes_max)),
        };
        let mut exchange = Exchange {
            client: &mut *self.client,
            input: &mut *self.input,
            output: std::mem::take(output),
            facts,
            began,
            limits: &state.limits,
            guard: &state.guard,
            deadline: self.deadline,
            body,
            keep_alive: facts.keep_alive && !is_last && !self.listener.is_leaving(),
            status: 0,
            extra: Vec::new(),
            notice: None,
            refused: None,
            gate: &self.listener.admission.requests,
            trail: Trail::default(),
        };
        let too_large =
            matches!((facts.body, state.limits.body_bytes_max), (Body::Length(all), Some(max)) if all > max);
        let result = if too_large {
            exchange.keep_alive = false;
            exchange.refuse(413, "the body is longer than body_bytes_max").await
        } else {
            state.service.run(plan, &mut exchange).await
        };
        if result.is_ok() && exchange.keep_alive {
            exchange.drain_body(DRAIN_BYTES_MAX).await;
        }
        if let Some(reason) = exchange.refused {
            self.listener.metrics.refused(reason);
        }
        if let Some(limit) = exchange.trail.shed {
            self.listener.metrics.shed(limit);
        }
        if let Some(line) = line {
            line.write(self.listener.metrics.name(), &exchange, result.is_ok(), began.elapsed());
        }
        let (keep_alive, status) = (exchange.keep_alive, exchange.status);
        *output = exchange.output;
        if status > 0 {
            self.listener.metrics.answered(status, Some(began.elapsed()));
            if result.is_err() {
                self.listener.metrics.cut.inc();
            }
        }
        match result {
            Err(_) => Some(Next::Cut),
            Ok(()) if !keep_alive => Some(Next::Close),
            Ok(()) => None,
        }
    }

    async fn refuse(&mut self, status: u16, reason: &str, state: &State<V>, output: &mut Vec<u8>) -> Next {
        output.clear();
        answer::write_error(status, reason, (false, true), output);
        self.listener.metrics.answered(status, None);
        self.deadline.set(state.limits.body_timeout_ms);
        match self.deadline.within(write_whole(self.client, output)).await {
            Ok(Ok(())) => Next::Close,
            _ => Next::Drop,
        }
    }
}

/// What an inner peer says the client's address is: the last one of the list.
fn forwarded_ip(head: &RequestHead<'_, '_>) -> Option<IpAddr> {
    let value = head.fields_named("x-forwarded-for").last()?;
    let last = value.rsplit(|&byte| byte == b',').next()?;
    let text = std::str::from_utf8(last.trim_ascii()).ok()?;
    let ip: Option<IpAddr> = text.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    ip.map(|ip| ip.to_canonical())
}
