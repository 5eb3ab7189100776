//! A listener without TLS beside one that has it: it sends everybody there, and answers an authority's challenges.

use crate::answer;
use crate::exchange::{Broken, Exchange};
use crate::service::{Arrival, Service, Stream};
use alongside_protocols::{Body, RequestHead};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where an authority asks for the answer to its challenge.
//= RFC 8555 section 8.3: the token follows.
const CHALLENGE_PATH: &[u8] = b"/.well-known/acme-challenge/";

/// Answers to the challenges of authorities that wait for them, by token.
#[derive(Debug, Default)]
pub struct Answers(Mutex<BTreeMap<String, String>>);

impl Answers {
    /// Gives this answer to whoever asks for a token, until it is taken away.
    pub fn put(&self, token: &str, answer: &str) {
        self.lock().insert(token.to_owned(), answer.to_owned());
    }

    /// Takes an answer away.
    pub fn remove(&self, token: &str) {
        self.lock().remove(token);
    }

    fn to(&self, target: &[u8]) -> Option<String> {
        let token = std::str::from_utf8(target.strip_prefix(CHALLENGE_PATH)?).ok()?;
        self.lock().get(token).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What sends everybody to TLS.
#[derive(Debug)]
pub struct Redirect {
    /// What follows the host in the new address: nothing, or a colon and a port.
    port: String,
    answers: Arc<Answers>,
}

/// The status of an answer, which stands in the output.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    status: u16,
    body_bytes: usize,
}

/// The usual port of https, which addresses leave out.
const HTTPS_PORT: u32 = 443;

impl Redirect {
    /// Returns what sends clients to a port of the host that they asked, and gives these answers.
    #[must_use]
    pub fn new(port: u32, answers: Arc<Answers>) -> Self {
        let port = if port == HTTPS_PORT { String::new() } else { format!(":{port}") };
        Self { port, answers }
    }

    /// Returns the address that a request is sent to; nothing where it names no host.
    fn location(&self, head: &RequestHead<'_, '_>) -> Option<Vec<u8>> {
        let host = without_port(head.authority);
        if host.is_empty() || head.target == b"*" {
            return None;
        }
        Some([b"https://", host, self.port.as_bytes(), head.target].concat())
    }
}

impl Service for Redirect {
    type Plan = Answered;

    fn plan(&self, head: &RequestHead<'_, '_>, _: &Arrival<'_>, output: &mut Vec<u8>) -> Answered {
        let flags = (head.method == "HEAD", !head.keep_alive || !matches!(head.body, Body::None));
        if let Some(text) = self.answers.to(head.target) {
            let says = answer::Says { status: 200, content_type: "application/octet-stream", allow: None };
            return Answered { status: 200, body_bytes: answer::write(says, text.as_bytes(), flags, output) };
        }
        let Some(location) = self.location(head) else {
            let body_bytes = answer::write_error(400, "it names no host to be sent to", flags, output);
            return Answered { status: 400, body_bytes };
        };
        Answered { status: 308, body_bytes: answer::write_redirect(&location, flags, output) }
    }

    async fn run<S: Stream>(&self, answered: Answered, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
        // A body is not read; what says so stands in the answer.
        exchange.keep_alive &= exchange.body.take().is_none();
        exchange.trail.body_bytes = answered.body_bytes as u64;
        exchange.send(answered.status).await
    }
}

/// Returns an authority's host, brackets included.
fn without_port(authority: &[u8]) -> &[u8] {
    let after_brackets = authority.iter().position(|&byte| byte == b']').map_or(0, |at| at + 1);
    match authority[after_brackets..].iter().position(|&byte| byte == b':') {
        Some(at) => &authority[..after_brackets + at],
        None => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alongside_protocols::{Limits, Peer, guard, scratch};
    use std::net::{IpAddr, Ipv4Addr};

    fn answered(redirect: &Redirect, request: &str) -> String {
        let mut room = scratch();
        let head = guard::request(request.as_bytes(), &mut room, &Limits::default()).unwrap().unwrap();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let arrival = Arrival { ip, peer: Peer { ip: "127.0.0.1", scheme: "http" }, is_inner: false };
        let mut output = Vec::new();
        redirect.plan(&head, &arrival, &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn sends_everybody_to_the_same_path_by_https() {
        let cases = [
            ("a.example", 443, "https://a.example/p?q=1"),
            ("a.example:8080", 443, "https://a.example/p?q=1"),
            ("a.example:8080", 8443, "https://a.example:8443/p?q=1"),
            ("[::1]:8080", 8443, "https://[::1]:8443/p?q=1"),
            ("[::1]", 443, "https://[::1]/p?q=1"),
        ];
        for (host, port, location) in cases {
            let redirect = Redirect::new(port, Arc::default());
            let text = answered(&redirect, &format!("POST /p?q=1 HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert!(text.starts_with("HTTP/1.1 308 Permanent Redirect\r\n"), "{text}");
            assert!(text.contains(&format!("\r\nlocation: {location}\r\n")), "{text}");
        }
    }

    #[test]
    fn who_names_no_host_is_sent_nowhere() {
        let text = answered(&Redirect::new(443, Arc::default()), "GET / HTTP/1.0\r\n\r\n");
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    }

    #[test]
    fn an_authority_gets_the_answer_to_its_challenge_while_it_is_due() {
        let answers = Arc::new(Answers::default());
        let redirect = Redirect::new(443, Arc::clone(&answers));
        let ask = || answered(&redirect, "GET /.well-known/acme-challenge/abc HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(ask().starts_with("HTTP/1.1 308 "));
        answers.put("abc", "abc.xyz");
        assert!(ask().ends_with("\r\n\r\nabc.xyz"));
        answers.remove("abc");
        assert!(ask().starts_with("HTTP/1.1 308 "));
    }
}
