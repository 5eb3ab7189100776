//! The document's part for memcache and Redis; the comments are the schema's descriptions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::texts::{Address, FilePath, Name, SocketPath, Target};

/// Servers of memcache or Redis as one: each command goes to the server of its key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The pool's name, unique among all that listeners serve.
    pub name: Name,
    /// What clients and servers speak.
    pub protocol: PoolProtocol,
    /// How a key chooses its server.
    #[serde(default)]
    pub placement: PoolPlacement,
    /// The servers, at least one.
    #[schemars(length(min = 1, max = 4096))]
    pub servers: Vec<Server>,
    /// A UNIX socket where clients connect too; null for none.
    #[serde(default)]
    pub socket: Option<ClientSocket>,
    /// Connections that each thread keeps to a server, 1 to 64; a client's commands for one server stay on one. As many for each version of Redis' protocol that clients speak.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub connections: u32,
    /// Whether servers are connected to before a command needs them.
    #[serde(default)]
    pub preconnect: bool,
    /// How long a server may take to answer, in milliseconds, 1 to an hour; null for as long as it likes.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub timeout_ms: Option<u64>,
    /// How long connecting to a server may take, in milliseconds, 1 to an hour.
    #[serde(default = "connect_timeout_ms")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub connect_timeout_ms: u64,
    /// Between two looks at a server that is not used, in milliseconds, 10 to an hour. It is used again when it answers one.
    #[serde(default = "retry_ms")]
    #[schemars(range(min = 10, max = 3_600_000))]
    pub retry_ms: u64,
    /// When the keys of a server that fails go to the others; null for never.
    #[serde(default)]
    pub ejection: Option<Ejection>,
    /// How often names of servers are looked up again, in milliseconds, 100 to a day.
    #[serde(default = "resolve_ms")]
    #[schemars(range(min = 100, max = 86_400_000))]
    pub resolve_ms: u64,
    /// After how much silence the kernel asks each side whether it is still there, in milliseconds, 1,000 to a day, in whole
    /// seconds; null for never.
    #[serde(default = "keepalive_ms")]
    #[schemars(range(min = 1_000, max = 86_400_000))]
    pub keepalive_ms: Option<u64>,
    /// TLS to the servers; null for plain connections.
    #[serde(default)]
    pub server_tls: Option<ServerTls>,
    /// Redis: who clients must say they are; everybody may come where there is none.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub users: Vec<User>,
    /// Redis: as whom the servers are told we come; null for nobody.
    #[serde(default)]
    pub server_user: Option<User>,
    /// Redis: the database of the servers, 0 to 2^31 - 1.
    #[serde(default)]
    #[schemars(range(max = 2_147_483_647))]
    pub database: u32,
    /// memcache: whether `flush_all` goes to all servers; else it is refused.
    #[serde(default)]
    pub may_flush: bool,
    /// Whether what twemproxy does not know or understand closes the client's connection, as it does there.
    #[serde(default)]
    pub is_strict: bool,
    /// What bounds it.
    #[serde(default)]
    pub limits: PoolLimits,
}

/// What a pool's clients and servers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PoolProtocol {
    /// memcache's text, meta commands among it.
    Memcache,
    /// Redis, RESP version 2.
    Redis,
}

/// How a key chooses its server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolPlacement {
    /// How the key's hash chooses.
    pub function: PoolFunction,
    /// The program whose placement is computed.
    pub compatible_with: PoolPlacedAs,
    /// The key's hash; nginx has its own, and leaves it aside.
    pub hash: KeyHash,
    /// Two ASCII characters: of a key that has both in this order, only what stands between the first of them is hashed. Null
    /// for the whole key.
    #[schemars(length(min = 2, max = 2))]
    pub hash_tag: Option<String>,
    /// Whether bytes from 128 on count as negative, as in C on x86.
    pub is_signed: bool,
}

impl Default for PoolPlacement {
    fn default() -> PoolPlacement {
        PoolPlacement {
            function: PoolFunction::Ketama,
            compatible_with: PoolPlacedAs::Twemproxy,
            hash: KeyHash::Fnv1a64,
            hash_tag: None,
            is_signed: true,
        }
    }
}

/// How a key's hash chooses a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PoolFunction {
    /// A ring of points made of the servers' names.
    Ketama,
    /// The hash modulo the sum of weights; twemproxy's `modula`.
    Modulo,
    /// By chance, whatever the key.
    Random,
}

/// The program whose placement is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PoolPlacedAs {
    /// twemproxy; with the hash `md5` and ketama also libmemcached's weighted one.
    Twemproxy,
    /// nginx: ketama is `hash KEY consistent`, modulo `hash KEY`; there is no `random`.
    Nginx,
}

/// A hash of keys by twemproxy's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum KeyHash {
    /// Jenkins's one at a time.
    #[serde(rename = "one_at_a_time")]
    OneAtATime,
    /// MD5, its first four bytes.
    #[serde(rename = "md5")]
    Md5,
    /// CRC-16 without its mask.
    #[serde(rename = "crc16")]
    Crc16,
    /// Fifteen bits of CRC-32: for `modulo` alone.
    #[serde(rename = "crc32")]
    Crc32,
    /// CRC-32.
    #[serde(rename = "crc32a")]
    Crc32a,
    /// FNV-1, 64 bits, cut.
    #[serde(rename = "fnv1_64")]
    Fnv164,
    /// FNV-1a of the low halves of its 64-bit constants.
    #[serde(rename = "fnv1a_64")]
    Fnv1a64,
    /// FNV-1, 32 bits.
    #[serde(rename = "fnv1_32")]
    Fnv132,
    /// FNV-1a, 32 bits.
    #[serde(rename = "fnv1a_32")]
    Fnv1a32,
    /// Hsieh's SuperFastHash.
    #[serde(rename = "hsieh")]
    Hsieh,
    /// MurmurHash2.
    #[serde(rename = "murmur")]
    Murmur,
    /// Jenkins's lookup3.
    #[serde(rename = "jenkins")]
    Jenkins,
}

/// A server of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its name, unique in its pool; the ring is made of it.
    pub name: Name,
    /// Where it is reached: `HOST:PORT`, the port not 0, or `unix:` and a path. Not part of the placement.
    pub address: Target,
    /// Its share of the keys relative to others, 1 to 65535.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 65535))]
    pub weight: u32,
}

/// A UNIX socket where clients connect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSocket {
    /// Its path.
    pub path: SocketPath,
    /// Its mode as a number, 0 to 511 (octal 777).
    #[serde(default = "socket_mode")]
    #[schemars(range(max = 511))]
    pub mode: u32,
}

/// When the keys of a server that fails go to the others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ejection {
    /// Failures in a row after which it is ejected, 1 to 1000; a lost connection is one.
    #[serde(default = "failures")]
    #[schemars(range(min = 1, max = 1000))]
    pub failures: u32,
    /// The least of the servers that stay, in percent, 0 to 100: no further one is ejected, and its keys fail instead.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub servers_percent_min: u32,
}

/// TLS to the servers of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// A PEM file with the authorities that the servers' certificates must come from; it is followed.
    pub authorities: FilePath,
    /// The name that the certificates must have; null for each server's host.
    #[serde(default)]
    pub name: Option<Name>,
    /// A PEM file with the certificate that servers are shown, or a folder with `tls.crt` and `tls.key`; null for none.
    #[serde(default)]
    pub certificate: Option<FilePath>,
    /// A PEM file with its key; null for the folder's.
    #[serde(default)]
    pub key: Option<FilePath>,
}

/// Who somebody says to be to a Redis.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user's name; `default` is also who names none.
    #[serde(default = "default_user")]
    pub name: Name,
    /// A file with the password, without its last line break; at most 4 KiB. It is followed.
    pub password: FilePath,
}

/// What bounds a pool. Each thread has so much for itself, but for what is of one client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolLimits {
    /// Connections of clients at one time, at all of its addresses and in all threads, 1 to 1,048,576; null for as many as the
    /// process takes.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub clients_max: Option<u32>,
    /// The largest value of one key, in bytes, 1 to 1 GiB.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub value_bytes_max: u64,
    /// The most keys of one command, 1 to 1,048,576.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub keys_max: u32,
    /// Commands that a client may wait for at once, 1 to 65536; it is not read from while it has so many, or so many that
    /// answers as large as its last ones would exceed `client_bytes_max`.
    #[schemars(range(min = 1, max = 65536))]
    pub client_requests_max: u32,
    /// What waits for one client, its commands and their answers, in bytes, 64 KiB to 16 GiB; no further command of it is
    /// begun while there is more.
    #[schemars(range(min = 65_536, max = 17_179_869_184_u64))]
    pub client_bytes_max: u64,
    /// Answers that wait for one client however they came about, in bytes, 64 KiB to 16 GiB: it is closed when there are more,
    /// since one command of many keys may be answered with any number.
    #[schemars(range(min = 65_536, max = 17_179_869_184_u64))]
    pub answers_bytes_max: u64,
    /// Redis: the largest request, in bytes, 64 KiB to 2 GiB; but for a value of `value_bytes_max` there is always room.
    #[schemars(range(min = 65_536, max = 2_147_483_648_u64))]
    pub request_bytes_max: u64,
    /// Commands that all clients together may wait for, 1 to 16,777,216; more get an error.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub requests_max: u32,
    /// What waits for one server, in bytes, 64 KiB to 2 GiB; commands for it get an error while there is more. A Redis'
    /// answer that is larger is passed over, and its command gets an error.
    #[schemars(range(min = 65_536, max = 2_147_483_648_u64))]
    pub server_bytes_max: u64,
}

impl Default for PoolLimits {
    fn default() -> PoolLimits {
        PoolLimits {
            clients_max: None,
            value_bytes_max: 67_108_864,
            keys_max: 65_536,
            client_requests_max: 256,
            client_bytes_max: 16_777_216,
            answers_bytes_max: 268_435_456,
            request_bytes_max: 268_435_456,
            requests_max: 262_144,
            server_bytes_max: 268_435_456,
        }
    }
}

/// Where twemproxy's figures are read: a connection gets one line of JSON, and is closed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwemproxyStats {
    /// Where to listen; port 0 takes any free port.
    pub address: Address,
}

const fn one() -> u32 {
    1
}

const fn failures() -> u32 {
    2
}

const fn connect_timeout_ms() -> u64 {
    2_000
}

const fn retry_ms() -> u64 {
    30_000
}

const fn resolve_ms() -> u64 {
    5_000
}

const fn socket_mode() -> u32 {
    0o600
}

fn default_user() -> Name {
    "default".parse().unwrap_or_else(|_| unreachable!())
}

// Serde's defaults have the field's type.
#[allow(clippy::unnecessary_wraps)]
const fn keepalive_ms() -> Option<u64> {
    Some(60_000)
}
