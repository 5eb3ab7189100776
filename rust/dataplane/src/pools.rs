//! Pools: from a document to terms, and what looks after them: files that are followed, sockets of clients beside listeners.

mod local;

use alongside_ambassador::Engine;
use alongside_ambassador::core::{Credentials, Terms, TermsError};
use alongside_ambassador::counters::Standing;
use alongside_ambassador::reactor::Connectors;
use alongside_document::{Document, Pool, Problem, ServerTls, User};
use alongside_tls::Connector;
use alongside_transport::watch::Watch;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub use local::{Bound, Locals};

/// The longest password in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;
/// How often files are looked at even if nothing was noticed.
const LOOK: Duration = Duration::from_secs(30);
/// How often it is looked how servers stand, for the log.
const STANDING_LOOK: Duration = Duration::from_millis(250);

/// A pool of the document, made ready.
#[derive(Debug, Clone)]
pub struct Pooled {
    /// What the threads are told.
    pub terms: Arc<Terms>,
    /// TLS to its servers, and as what it was written.
    connector: Option<(ServerTls, Arc<Connector>)>,
}

/// Pools by name.
pub type Pools = BTreeMap<String, Pooled>;

/// Makes a document's pools ready. Those that were there before keep what they counted.
pub fn compile(document: &Document, before: &Pools) -> Result<Pools, Vec<Problem>> {
    let mut pools = Pools::new();
    let mut problems = Vec::new();
    for (index, pool) in document.pools.iter().enumerate() {
        match compile_one(pool, before.get(pool.name.as_str())) {
            Ok(pooled) => drop(pools.insert(pool.name.to_string(), pooled)),
            Err(problem) => problems.push(problem.below(&format!("pools[{index}]"))),
        }
    }
    if problems.is_empty() { Ok(pools) } else { Err(problems) }
}

/// Has the threads serve these pools and no others.
pub fn serve(engine: &Engine, pools: &Pools) {
    let connectors: Connectors = pools
        .iter()
        .filter_map(|(name, pooled)| Some((name.clone(), Arc::clone(&pooled.connector.as_ref()?.1))))
        .collect();
    engine.apply(pools.values().map(|pooled| Arc::clone(&pooled.terms)).collect(), connectors);
}

fn compile_one(pool: &Pool, before: Option<&Pooled>) -> Result<Pooled, Problem> {
    let known = before.and_then(|before| before.connector.as_ref());
    let connector = match &pool.server_tls {
        None => None,
        Some(tls) => Some(match known.filter(|(written, _)| written == tls) {
            Some(same) => same.clone(),
            None => {
                let opened = Connector::open(&pool.name, tls, known.map(|(_, connector)| connector));
                (tls.clone(), opened.map_err(|problem| problem.below("server_tls"))?)
            }
        }),
    };
    Ok(Pooled { terms: terms(pool, before, known_or_read)?, connector })
}

/// What a user's file is read by: the user, and the terms that were in force.
type Reading = fn(&User, Option<&Terms>) -> Result<Credentials, Problem>;

/// Returns a pool's terms, with what its files say now.
fn terms(pool: &Pool, before: Option<&Pooled>, read: Reading) -> Result<Arc<Terms>, Problem> {
    let in_force = before.map(|before| &*before.terms);
    let of = |(index, user): (usize, &User)| {
        read(user, in_force).map_err(|problem| problem.below(&format!("users[{index}]")))
    };
    let users = pool.users.iter().enumerate().map(of).collect::<Result<Vec<_>, _>>()?;
    let server_user = pool.server_user.as_ref().map(|user| read(user, in_force)).transpose();
    let server_user = server_user.map_err(|problem| problem.below("server_user"))?;
    // What another protocol counted is another thing.
    let same = before.filter(|before| before.terms.pool.protocol == pool.protocol);
    let counters = same.map(|before| Arc::clone(&before.terms.counters)).unwrap_or_default();
    Terms::new(pool.clone(), users, server_user, counters).map(Arc::new).map_err(|error| problem(&error))
}

fn problem(error: &TermsError) -> Problem {
    let (path, remedy) = match (error, error.index()) {
        (_, Some(index)) => (format!("servers[{index}]"), "mend the server"),
        (TermsError::Tag(_), None) => ("placement.hash_tag".to_owned(), "write two characters, or leave it out"),
        (TermsError::Random, None) => ("placement.function".to_owned(), "write ketama or modulo"),
        (TermsError::Twemproxy(_) | TermsError::Nginx(_), None) => ("servers".to_owned(), "mend the servers"),
    };
    Problem::new(path, error.to_string(), remedy)
}

/// Reads a user's password; where its file is not good now, what it said before stays, and who follows it tells so.
fn known_or_read(user: &User, before: Option<&Terms>) -> Result<Credentials, Problem> {
    credentials(user, before).or_else(|problem| {
        let before = before.ok_or_else(|| problem.clone())?;
        let users = before.pool.users.iter().zip(&before.users);
        let mut known = users.chain(before.pool.server_user.iter().zip(&before.server_user));
        known.find(|(written, _)| *written == user).map(|(_, known)| known.clone()).ok_or(problem)
    })
}

/// Reads a user's password.
fn credentials(user: &User, _: Option<&Terms>) -> Result<Credentials, Problem> {
    let path = user.password.as_path();
    let (what, remedy) = match password(path) {
        Ok(password) if password.is_empty() => ("is empty".to_owned(), "write the password into it"),
        Ok(password) if password.len() as u64 > PASSWORD_BYTES_MAX => {
            (format!("holds more than {PASSWORD_BYTES_MAX} bytes"), "name a file with nothing but the password")
        }
        Ok(password) => return Ok(Credentials { name: user.name.to_string(), password }),
        Err(error) => (format!("cannot be read: {error}"), "name a file that this process may read"),
    };
    Err(Problem::new("password", format!("{} {what}", path.display()), remedy))
}

/// Returns what a file holds, without its last line break.
fn password(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Two bytes more than it may have: a line break, and one that says that it is too long.
    std::fs::File::open(path)?.take(PASSWORD_BYTES_MAX + 2).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(bytes)
}

/// The tasks that look after the pools in force.
#[derive(Debug, Default)]
pub struct Tended {
    /// By the connector's place in memory, which holding it keeps.
    connectors: HashMap<usize, (Arc<Connector>, AbortHandle)>,
    passwords: Option<AbortHandle>,
    standings: Option<AbortHandle>,
}

impl Tended {
    /// Looks after these from now on, and no longer after what is not among them. Must run where tasks can be started.
    pub fn follow(&mut self, engine: &Engine, pools: &Pools) {
        if let Some(task) = self.passwords.take() {
            task.abort();
        }
        if !pools.is_empty() {
            self.passwords = Some(tokio::spawn(follow_passwords(engine.clone(), pools.clone())).abort_handle());
            // It goes on from one document to the next: who was told as left is told as back.
            self.standings.get_or_insert_with(|| tokio::spawn(tell_standings(engine.clone())).abort_handle());
        }
        let mut before = std::mem::take(&mut self.connectors);
        for (_, connector) in pools.values().filter_map(|pooled| pooled.connector.as_ref()) {
            let place = Arc::as_ptr(connector).addr();
            let begin = || (Arc::clone(connector), tokio::spawn(connector.follow()).abort_handle());
            let tended = before.remove(&place).unwrap_or_else(begin);
            self.connectors.insert(place, tended);
        }
        before.into_values().for_each(|(_, task)| task.abort());
    }
}

/// Follows the files of passwords. Servers and clients that are in stay; who comes is asked for the new one.
async fn follow_passwords(engine: Engine, mut pools: Pools) {
    let users = |pooled: &Pooled| -> Vec<PathBuf> {
        let pool = &pooled.terms.pool;
        pool.users.iter().chain(&pool.server_user).map(|user| user.password.as_path().to_owned()).collect()
    };
    let paths: Vec<PathBuf> = pools.values().flat_map(users).collect();
    if paths.is_empty() {
        return;
    }
    let changed = Arc::new(Notify::new());
    let mut watch = Watch::new(paths, &changed);
    let mut told = BTreeMap::new();
    loop {
        watch.renew();
        watch.changed(LOOK).await;
        let mut is_new = false;
        for (name, pooled) in &mut pools {
            match terms(&pooled.terms.pool, Some(pooled), credentials) {
                Ok(terms) => {
                    told.remove(name);
                    let before = &pooled.terms;
                    if terms.users != before.users || terms.server_user != before.server_user {
                        tracing::info!(event = "passwords_taken", pool = name);
                        pooled.terms = terms;
                        is_new = true;
                    }
                }
                Err(problem) => {
                    if told.insert(name.clone(), problem.to_string()).as_ref() != Some(&problem.to_string()) {
                        tracing::warn!(event = "passwords_refused", pool = name, reason = %problem);
                    }
                }
            }
        }
        if is_new {
            serve(&engine, &pools);
        }
    }
}

/// Says which servers get no commands any more, and which do again.
async fn tell_standings(engine: Engine) {
    let mut left = BTreeMap::new();
    let mut looks = tokio::time::interval(STANDING_LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let pools = engine.pools();
        left.retain(|(pool, server): &(String, String), _| {
            let its = pools.get(pool).map(|served| &served.terms.pool.servers);
            its.is_some_and(|servers| servers.iter().any(|it| it.name.as_str() == server))
        });
        for (pool, served) in pools.iter() {
            for (server, counters) in served.terms.pool.servers.iter().zip(&served.terms.servers) {
                let standing = counters.standing();
                let key = (pool.clone(), server.name.to_string());
                let server = server.name.as_str();
                match (left.get(&key).copied(), standing == Standing::Good) {
                    (None, false) => {
                        tracing::warn!(event = "server_left", pool, server, standing = standing.as_str());
                        left.insert(key, standing);
                    }
                    (Some(_), true) => {
                        tracing::info!(event = "server_back", pool, server);
                        left.remove(&key);
                    }
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(pools: &str) -> Document {
        let text = format!(r#"{{"schema": 1, "epoch": 1, "generation": 1, "pools": [{pools}]}}"#);
        alongside_document::parse(text.as_bytes()).unwrap()
    }

    fn problem_of(pool: &str) -> String {
        compile(&document(pool), &Pools::new()).unwrap_err()[0].to_string()
    }

    #[test]
    fn says_where_a_pool_is_wrong() {
        let tag = problem_of(
            r#"{"name": "a", "protocol": "memcache", "placement": {"hash_tag": "ä"}, "servers": [{"name": "s", "address": "h:1"}]}"#,
        );
        assert!(tag.starts_with("pools[0].placement.hash_tag: "), "{tag}");
        let absent = problem_of(
            r#"{"name": "a", "protocol": "redis", "users": [{"password": "/nowhere/p"}], "servers": [{"name": "s", "address": "h:1"}]}"#,
        );
        assert!(absent.starts_with("pools[0].users[0].password: /nowhere/p cannot be read"), "{absent}");
        let absent = problem_of(
            r#"{"name": "a", "protocol": "redis", "server_tls": {"authorities": "/nowhere/ca"}, "servers": [{"name": "s", "address": "h:1"}]}"#,
        );
        assert!(absent.starts_with("pools[0].server_tls.authorities: /nowhere/ca is not there"), "{absent}");
    }

    #[test]
    fn a_password_ends_before_its_last_line_break() {
        let path = std::env::temp_dir().join(format!("alongside-password-{}", std::process::id()));
        for (held, wanted) in [("a b\n", "a b"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a")] {
            std::fs::write(&path, held).unwrap();
            assert_eq!(password(&path).unwrap(), wanted.as_bytes());
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_password_stays_in_force_while_its_file_is_not_good() {
        let path = std::env::temp_dir().join(format!("alongside-kept-{}", std::process::id()));
        let other = path.with_extension("other");
        let pool = |path: &Path| {
            let user = format!(r#"{{"password": "{}"}}"#, path.display());
            format!(
                r#"{{"name": "a", "protocol": "redis", "users": [{user}], "server_user": {user},
                    "servers": [{{"name": "s", "address": "h:1"}}]}}"#
            )
        };
        std::fs::write(&path, "first").unwrap();
        let first = compile(&document(&pool(&path)), &Pools::new()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let kept = compile(&document(&pool(&path)), &first).unwrap();
        assert_eq!(kept["a"].terms.users, first["a"].terms.users);
        assert_eq!(kept["a"].terms.server_user, first["a"].terms.server_user);
        let refused = compile(&document(&pool(&other)), &first).unwrap_err();
        assert!(refused[0].to_string().starts_with("pools[0].users[0].password: "), "{}", refused[0]);
    }

    #[test]
    fn a_pool_counts_on_in_the_next_document() {
        let pool = r#"{"name": "a", "protocol": "memcache", "servers": [{"name": "s", "address": "h:1"}]}"#;
        let first = compile(&document(pool), &Pools::new()).unwrap();
        let second = compile(&document(pool), &first).unwrap();
        assert!(Arc::ptr_eq(&first["a"].terms.counters, &second["a"].terms.counters));
    }
}
