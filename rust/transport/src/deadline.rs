//! Deadlines by a coarse clock: setting one is a store, and a sweep four times a second wakes whoever is late.
//!
//! A timer of the runtime for each read would be armed and disarmed for every request. Here a connection owns one slot in
//! a table of its thread; waiting sets the slot, and [`tick`] looks through the table. A deadline therefore fires up to
//! [`TICK_MS`] late, never early. A slot may also ask to be looked at soon, so that its owner can give memory back.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Length of a tick in milliseconds: how late a deadline may fire.
pub const TICK_MS: u32 = 250;

/// How long a drain waits for a request of a connection that has none: it may be on the way, and its answer says that
/// no other follows.
pub const LAST_REQUEST_MS: u64 = 1_000;

thread_local! {
    static NOW: Cell<u32> = const { Cell::new(1) };
    static TABLE: RefCell<Table> = const { RefCell::new(Table { slots: Vec::new(), free: Vec::new() }) };
    static DRAINING: Cell<bool> = const { Cell::new(false) };
    static PAUSES: Cell<usize> = const { Cell::new(0) };
}

/// Pauses of a thread at one time; what waits beyond them gives its memory back at once.
const PAUSES_MAX: usize = 256;

/// A slot without a deadline.
const NEVER: u32 = u32::MAX;

struct Slot {
    due: u32,
    /// When its owner wants to know that nothing came yet.
    pause: u32,
    /// It waits for a request; what it does else is finished first, whoever asks it to leave.
    is_idle: bool,
    waker: Option<Waker>,
}

impl Slot {
    const FREE: Self = Self { due: NEVER, pause: NEVER, is_idle: false, waker: None };

    /// Whether it waits for a request, and was not asked to leave before.
    const fn is_waiting(&self) -> bool {
        self.is_idle && self.due != NEVER && self.due > 0
    }
}

struct Table {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

impl Table {
    fn expire(&mut self, index: usize) {
        self.slots[index].due = 0;
        self.wake(index);
    }

    fn wake(&mut self, index: usize) {
        if let Some(waker) = self.slots[index].waker.take() {
            waker.wake();
        }
    }
}

/// The wait took longer than its deadline, or an idle connection was asked to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the wait took longer than its limit")]
pub struct Expired;

/// One connection's deadline: a slot in its thread's table. It must stay on the thread that made it.
#[derive(Debug)]
pub struct Deadline(usize);

impl Default for Deadline {
    fn default() -> Self {
        Self::new()
    }
}

impl Deadline {
    /// Returns a slot without a deadline.
    #[must_use]
    pub fn new() -> Self {
        TABLE.with_borrow_mut(|table| match table.free.pop() {
            Some(index) => {
                table.slots[index] = Slot::FREE;
                Self(index)
            }
            None => {
                table.slots.push(Slot::FREE);
                Self(table.slots.len() - 1)
            }
        })
    }

    /// Lets the wait last `limit_ms` milliseconds from now, and up to one tick more.
    pub fn set(&self, limit_ms: u64) {
        self.arm(limit_ms, false);
    }

    /// Like [`Deadline::set`], for a connection that waits for a request: it may be asked to leave early, at once to make
    /// room, in [`LAST_REQUEST_MS`] by [`drain`].
    pub fn set_idle(&self, limit_ms: u64) {
        self.arm(if DRAINING.get() { limit_ms.min(LAST_REQUEST_MS) } else { limit_ms }, true);
    }

    /// Takes the deadline off, and lets nobody ask it to leave: what it waits for has a limit of its own.
    pub fn clear(&self) {
        TABLE.with_borrow_mut(|table| {
            let slot = &mut table.slots[self.0];
            (slot.due, slot.is_idle) = (NEVER, false);
        });
    }

    fn arm(&self, limit_ms: u64, is_idle: bool) {
        let due = ticks_from_now(limit_ms);
        TABLE.with_borrow_mut(|table| {
            let slot = &mut table.slots[self.0];
            slot.due = due;
            slot.is_idle = is_idle;
        });
    }

    /// Waits for `work` no longer than the deadline last set.
    ///
    /// # Errors
    /// [`Expired`]: the deadline passed first; `work` is dropped.
    pub async fn within<F: Future>(&self, work: F) -> Result<F::Output, Expired> {
        let mut work = pin!(work);
        std::future::poll_fn(move |context| match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_expired(context).map(Err),
        })
        .await
    }

    /// Like [`Deadline::within`], but sets `limit_ms`, where it is there, only when `work` has to wait, and takes it then.
    ///
    /// # Errors
    /// [`Expired`]: the deadline passed first; `work` is dropped.
    pub async fn within_once<F: Future>(&self, limit_ms: &mut Option<u64>, work: F) -> Result<F::Output, Expired> {
        let mut work = pin!(work);
        std::future::poll_fn(move |context| match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => {
                if let Some(limit_ms) = limit_ms.take() {
                    self.set(limit_ms);
                }
                self.poll_expired(context).map(Err)
            }
        })
        .await
    }

    /// Waits for `work` no longer than the deadline last set, and no longer than a pause of one tick or two, or not at all
    /// where `PAUSES_MAX` others pause; `None`: the pause was over first, and the deadline goes on.
    ///
    /// # Errors
    /// [`Expired`]: the deadline passed first; `work` is dropped.
    pub async fn briefly<F: Future>(&self, work: F) -> Result<Option<F::Output>, Expired> {
        let pause = Pause::new(self);
        let mut work = pin!(work);
        std::future::poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(Some(output))),
            Poll::Pending => match self.poll_expired(context) {
                Poll::Ready(expired) => Poll::Ready(Err(expired)),
                Poll::Pending if pause.is_over() => Poll::Ready(Ok(None)),
                Poll::Pending => Poll::Pending,
            },
        })
        .await
    }

    fn poll_expired(&self, context: &Context<'_>) -> Poll<Expired> {
        TABLE.with_borrow_mut(|table| {
            let slot = &mut table.slots[self.0];
            if slot.due < NOW.get() {
                return Poll::Ready(Expired);
            }
            match &mut slot.waker {
                Some(waker) => waker.clone_from(context.waker()),
                empty => *empty = Some(context.waker().clone()),
            }
            Poll::Pending
        })
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        // At thread exit the table may be gone before the last connection.
        let _ = TABLE.try_with(|table| {
            if let Ok(mut table) = table.try_borrow_mut() {
                table.slots[self.0] = Slot::FREE;
                table.free.push(self.0);
            }
        });
    }
}

/// A pause of a connection, unless as many pause as may.
struct Pause<'d> {
    deadline: &'d Deadline,
    until: Option<u32>,
}

impl<'d> Pause<'d> {
    fn new(deadline: &'d Deadline) -> Self {
        let until = (PAUSES.get() < PAUSES_MAX).then(|| NOW.get().saturating_add(1));
        if let Some(until) = until {
            PAUSES.set(PAUSES.get() + 1);
            TABLE.with_borrow_mut(|table| table.slots[deadline.0].pause = until);
        }
        Self { deadline, until }
    }

    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until < NOW.get())
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        if self.until.is_some() {
            // At thread exit the table may be gone before the last connection.
            let _ = PAUSES.try_with(|pauses| pauses.set(pauses.get().saturating_sub(1)));
            let _ = TABLE.try_with(|table| {
                if let Ok(mut table) = table.try_borrow_mut() {
                    table.slots[self.deadline.0].pause = NEVER;
                }
            });
        }
    }
}

fn ticks_from_now(limit_ms: u64) -> u32 {
    let ticks = u32::try_from(limit_ms.div_ceil(u64::from(TICK_MS))).unwrap_or(NEVER);
    NOW.get().saturating_add(ticks).saturating_add(1).min(NEVER - 1)
}

/// Advances this thread's coarse clock by one tick and wakes whoever is late. O(connections of the thread).
pub fn tick() {
    let now = NOW.get().saturating_add(1);
    NOW.set(now);
    TABLE.with_borrow_mut(|table| {
        for index in 0..table.slots.len() {
            let slot = &table.slots[index];
            if slot.waker.is_some() && slot.due < now {
                table.expire(index);
            } else if slot.pause < now {
                table.wake(index);
            }
        }
    });
}

/// Returns this thread's coarse time in milliseconds since an arbitrary start.
#[must_use]
pub fn now_ms() -> u64 {
    u64::from(NOW.get()) * u64::from(TICK_MS)
}

/// Lets every idle connection of this thread leave with its next answer, or in [`LAST_REQUEST_MS`], from now on.
pub fn drain() {
    DRAINING.set(true);
    TABLE.with_borrow_mut(|table| {
        let until = ticks_from_now(LAST_REQUEST_MS);
        for slot in table.slots.iter_mut().filter(|slot| slot.is_waiting()) {
            slot.due = slot.due.min(until);
        }
    });
}

/// Whether [`drain`] was called on this thread: answers then close their connections.
#[must_use]
pub fn is_draining() -> bool {
    DRAINING.get()
}

/// Asks the idle connection of this thread that would expire first to leave; returns whether there was one.
pub fn shed_oldest_idle() -> bool {
    TABLE.with_borrow_mut(|table| {
        let oldest = (0..table.slots.len())
            .filter(|&index| table.slots[index].is_waiting())
            .min_by_key(|&index| table.slots[index].due);
        if let Some(index) = oldest {
            table.expire(index);
        }
        oldest.is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    async fn wait_with_ticks(deadline: &Deadline, ticks: u32) -> Result<(), Expired> {
        let mut left = ticks;
        deadline
            .within(std::future::poll_fn(|context| {
                if left == 0 {
                    return Poll::Pending;
                }
                left -= 1;
                tick();
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            }))
            .await
    }

    #[test]
    fn fires_after_its_time_and_not_before() {
        block_on(async {
            let deadline = Deadline::new();
            deadline.set(2 * u64::from(TICK_MS));
            let begun = NOW.get();
            assert_eq!(wait_with_ticks(&deadline, 10).await, Err(Expired));
            assert!(NOW.get() - begun > 2 && NOW.get() - begun <= 5);
        });
    }

    #[test]
    fn a_finished_wait_is_not_expired() {
        block_on(async {
            let deadline = Deadline::new();
            deadline.set(1);
            assert_eq!(deadline.within(async { 7 }).await, Ok(7));
        });
    }

    #[test]
    fn a_limit_begins_when_there_is_something_to_wait_for() {
        block_on(async {
            let deadline = Deadline::new();
            let mut limit_ms = Some(2 * u64::from(TICK_MS));
            assert_eq!(deadline.within_once(&mut limit_ms, async { 7 }).await, Ok(7));
            assert!(limit_ms.is_some());
            let begun = NOW.get();
            let ticking = std::future::poll_fn(|context| {
                tick();
                context.waker().wake_by_ref();
                if NOW.get() - begun > 10 { Poll::Ready(7) } else { Poll::Pending }
            });
            assert_eq!(deadline.within_once(&mut limit_ms, ticking).await, Err(Expired));
            assert!(NOW.get() - begun > 2 && NOW.get() - begun <= 6);
            assert_eq!(limit_ms, None);
        });
    }

    #[test]
    fn a_pause_ends_before_the_deadline_and_leaves_it_as_it_is() {
        block_on(async {
            let deadline = Deadline::new();
            deadline.set_idle(5 * u64::from(TICK_MS));
            let mut left = 10;
            let waiting = std::future::poll_fn(|context| {
                left -= 1;
                tick();
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            });
            assert_eq!(deadline.briefly(waiting).await, Ok(None));
            assert!((7..9).contains(&left));
            assert_eq!(deadline.briefly(async { 7 }).await, Ok(Some(7)));
            assert_eq!(wait_with_ticks(&deadline, 10).await, Err(Expired));
            assert_eq!(deadline.briefly(std::future::pending::<()>()).await, Err(Expired));
        });
    }

    #[test]
    fn as_many_pause_as_may_and_the_others_not_at_all() {
        block_on(async {
            let deadlines: Vec<_> = (0..=PAUSES_MAX).map(|_| Deadline::new()).collect();
            deadlines.iter().for_each(|deadline| deadline.set_idle(60_000));
            let mut context = Context::from_waker(Waker::noop());
            let mut pauses: Vec<_> =
                deadlines.iter().map(|it| Box::pin(it.briefly(std::future::pending::<()>()))).collect();
            for (at, pause) in pauses.iter_mut().enumerate() {
                let is_over = pause.as_mut().poll(&mut context) == Poll::Ready(Ok(None));
                assert_eq!(is_over, at == PAUSES_MAX);
            }
            assert_eq!(deadlines[PAUSES_MAX].briefly(async { 7 }).await, Ok(Some(7)));
            drop(pauses);
            assert_eq!(PAUSES.get(), 0);
        });
    }

    #[test]
    fn a_tick_wakes_who_pauses_and_shedding_ends_the_pause() {
        block_on(async {
            let deadline = Deadline::new();
            deadline.set_idle(60_000);
            let paused = async { deadline.briefly(std::future::pending::<()>()).await };
            let ticking = async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                    tick();
                }
            };
            assert_eq!(tokio::join!(paused, ticking).0, Ok(None));
            let paused = async { deadline.briefly(std::future::pending::<()>()).await };
            let shedding = async { assert!(shed_oldest_idle()) };
            assert_eq!(tokio::join!(paused, shedding).0, Err(Expired));
        });
    }

    #[test]
    fn draining_gives_idle_connections_time_for_a_last_request_and_leaves_busy_ones() {
        block_on(async {
            let (idle, busy) = (Deadline::new(), Deadline::new());
            idle.set_idle(60_000);
            busy.set(60_000);
            drain();
            assert_eq!(idle.within(async { 1 }).await, Ok(1));
            assert_eq!(wait_with_ticks(&idle, 10).await, Err(Expired));
            assert_eq!(busy.within(async { 1 }).await, Ok(1));
            let late = Deadline::new();
            late.set_idle(60_000);
            assert_eq!(late.within(async { 1 }).await, Ok(1));
            assert_eq!(wait_with_ticks(&late, 10).await, Err(Expired));
        });
    }

    #[test]
    fn sheds_the_idle_connection_that_waited_longest() {
        block_on(async {
            let (old, young, busy) = (Deadline::new(), Deadline::new(), Deadline::new());
            old.set_idle(1_000);
            young.set_idle(60_000);
            busy.set(500);
            assert!(shed_oldest_idle());
            assert_eq!(old.within(std::future::pending::<()>()).await, Err(Expired));
            assert_eq!(young.within(async { 1 }).await, Ok(1));
            drop(old);
            assert!(shed_oldest_idle());
            assert!(!shed_oldest_idle());
            drop(busy);
        });
    }

    #[test]
    fn what_waits_without_a_deadline_is_not_shed_in_place_of_an_idle_one() {
        block_on(async {
            let (queued, idle) = (Deadline::new(), Deadline::new());
            queued.set_idle(1_000);
            idle.set_idle(60_000);
            queued.clear();
            assert!(shed_oldest_idle());
            assert_eq!(idle.within(std::future::pending::<()>()).await, Err(Expired));
            assert!(!shed_oldest_idle());
            (0..10).for_each(|_| tick());
            assert_eq!(queued.within(async { 1 }).await, Ok(1));
        });
    }

    #[test]
    fn slots_are_used_again() {
        let first = Deadline::new().0;
        assert_eq!(Deadline::new().0, first);
    }
}
