//! Whether a request is sent on, waits or is refused: two limits on what is in flight, and a queue with a length and a time.

/// The parameters, as the document has them (`limits`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight in all, at least 1.
    pub requests_max: u32,
    /// Requests in flight for one node or origin, at least 1.
    pub upstream_requests_max: u32,
    /// Requests that wait, in all; 0 for none.
    pub queue_max: u32,
    /// How long one may wait, in milliseconds; 0 for not at all.
    pub queue_timeout_ms: u64,
}

/// What there is besides the request in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Requests in flight in all.
    pub requests: u32,
    /// Requests in flight for the node or origin that it would go to.
    pub upstream_requests: u32,
    /// Requests that wait, in all.
    pub queued: u32,
}

/// What happens with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is sent on now.
    Admit,
    /// It waits until one ends, or its time is over, and asks again.
    Wait,
    /// It gets a 503 with `Retry-After`.
    Shed(Shed),
}

/// Why a request was not sent on. The word is a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shed {
    /// Too many were in flight in all, and the queue was full.
    Requests,
    /// Too many were in flight for its node or origin, and the queue was full.
    Upstream,
    /// It had waited long enough.
    QueueTimeout,
}

impl Shed {
    /// Every reason, for metrics that begin with all their labels.
    pub const ALL: [Shed; 3] = [Shed::Requests, Shed::Upstream, Shed::QueueTimeout];

    /// The word for labels and logs: the name of the limit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Shed::Requests => "requests_max",
            Shed::Upstream => "upstream_requests_max",
            Shed::QueueTimeout => "queue_timeout",
        }
    }
}

/// Decide about a request that came now (`waited_ms` is `None`) or that has waited for so long.
///
/// The order of those who wait is the shell's: a newcomer should not be asked about while others wait for the same.
#[must_use]
pub fn admit(limits: &Limits, load: Load, waited_ms: Option<u64>) -> Admission {
    let full = if load.requests >= limits.requests_max {
        Shed::Requests
    } else if load.upstream_requests >= limits.upstream_requests_max {
        Shed::Upstream
    } else {
        return Admission::Admit;
    };
    match waited_ms {
        Some(waited_ms) if waited_ms >= limits.queue_timeout_ms => Admission::Shed(Shed::QueueTimeout),
        None if load.queued >= limits.queue_max || limits.queue_timeout_ms == 0 => Admission::Shed(full),
        Some(_) | None => Admission::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { requests_max: 4, upstream_requests_max: 2, queue_max: 3, queue_timeout_ms: 100 };

    fn check(requests: u32, upstream_requests: u32, queued: u32, waited_ms: Option<u64>, expected: Admission) {
        let load = Load { requests, upstream_requests, queued };
        assert_eq!(admit(&LIMITS, load, waited_ms), expected, "{load:?} {waited_ms:?}");
    }

    #[test]
    fn admits_below_both_limits_however_many_wait_and_however_long_it_waited() {
        check(3, 1, 0, None, Admission::Admit);
        check(3, 1, 3, None, Admission::Admit);
        check(3, 1, 3, Some(100), Admission::Admit);
    }

    #[test]
    fn waits_at_a_limit_while_the_queue_has_room() {
        check(4, 1, 2, None, Admission::Wait);
        check(3, 2, 2, None, Admission::Wait);
        check(4, 2, 3, Some(99), Admission::Wait);
    }

    #[test]
    fn sheds_by_the_limit_that_holds_where_the_queue_is_full() {
        check(4, 1, 3, None, Admission::Shed(Shed::Requests));
        check(4, 2, 3, None, Admission::Shed(Shed::Requests));
        check(3, 2, 3, None, Admission::Shed(Shed::Upstream));
    }

    #[test]
    fn sheds_what_waited_for_its_time() {
        check(4, 1, 1, Some(100), Admission::Shed(Shed::QueueTimeout));
        check(3, 2, 1, Some(101), Admission::Shed(Shed::QueueTimeout));
    }

    #[test]
    fn lets_nobody_wait_where_there_is_no_time_to_wait() {
        let limits = Limits { queue_timeout_ms: 0, ..LIMITS };
        let load = Load { requests: 4, upstream_requests: 0, queued: 0 };
        assert_eq!(admit(&limits, load, None), Admission::Shed(Shed::Requests));
    }
}
