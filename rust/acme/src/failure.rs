//! Why an order did not come to its end, in words for the log and for the metric.

use crate::client::Last;
use crate::metrics::Outcome;
use instant_acme::{Error, Problem};

/// The most characters of what an authority says that are passed on.
const WORDS_MAX: usize = 500;
/// What problems' types begin with.
const TYPES: &str = "urn:ietf:params:acme:error:";

/// Why an order did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub outcome: Outcome,
    /// What happened.
    pub reason: String,
    /// When the authority lets the next one begin, in seconds since 1970.
    pub not_before_s: Option<i64>,
}

impl Failure {
    /// Returns a failure that is nobody's word.
    pub fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: plain(&reason.into()), not_before_s: None }
    }

    /// Returns what an error means, after the last answer.
    pub fn of(error: &Error, last: Last) -> Self {
        let is_down = last.status.is_none_or(|status| status.is_server_error());
        let outcome = match error {
            Error::Api(problem) if is(problem, "rateLimited") => Outcome::RateLimited,
            Error::Api(problem) if is(problem, "serverInternal") => Outcome::Unreachable,
            Error::Api(_) => Outcome::Refused,
            _ if last.status.is_some_and(|status| status.as_u16() == 429) => Outcome::RateLimited,
            Error::Timeout(_) => Outcome::Failed,
            _ if is_down => Outcome::Unreachable,
            _ => Outcome::Failed,
        };
        Self { not_before_s: last.retry_after_s, ..Self::new(outcome, whole(error)) }
    }
}

/// Whether a problem is of this type.
pub fn is(problem: &Problem, kind: &str) -> bool {
    problem.r#type.as_deref().and_then(|it| it.strip_prefix(TYPES)) == Some(kind)
}

/// Returns an error with all that is behind it.
fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Returns a text of somebody else without what could be taken for something else, and not for ever long.
fn plain(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn api(kind: &str) -> Error {
        let kind = Some(format!("{TYPES}{kind}"));
        Error::Api(Problem { r#type: kind, detail: Some("no\nway".into()), status: None, subproblems: vec![] })
    }

    #[test]
    fn tells_failures_apart() {
        let last = |status: u16| Last { status: StatusCode::from_u16(status).ok(), retry_after_s: Some(7) };
        let json = || Error::Json(serde_json::from_str::<u8>("<html>").unwrap_err());
        let other = || Error::Other("connection refused".into());
        let cases = [
            (api("rateLimited"), last(429), Outcome::RateLimited),
            (api("rejectedIdentifier"), last(400), Outcome::Refused),
            (api("serverInternal"), last(500), Outcome::Unreachable),
            (json(), last(503), Outcome::Unreachable),
            (json(), last(429), Outcome::RateLimited),
            (json(), last(200), Outcome::Failed),
            (other(), Last::default(), Outcome::Unreachable),
            (Error::Timeout(None), last(200), Outcome::Failed),
        ];
        for (error, last, expected) in cases {
            let failure = Failure::of(&error, last);
            assert_eq!((failure.outcome, failure.not_before_s), (expected, last.retry_after_s), "{error}");
        }
    }

    #[test]
    fn passes_on_words_without_breaks_and_without_end() {
        assert!(Failure::of(&api("malformed"), Last::default()).reason.contains("no way"));
        assert_eq!(Failure::new(Outcome::Failed, "x".repeat(9_999)).reason.len(), WORDS_MAX);
    }
}
