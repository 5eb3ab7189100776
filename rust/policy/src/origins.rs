//! Whether two spellings name one origin: only where that is certain.
//!
//! `localhost` and `127.0.0.1` are left apart, as are a name and its address: what a name means is known where it is looked up.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Returns an `ADDRESS` or `ADDRESS HOST` in the one spelling of all that mean the same: addresses as numbers, names in small letters.
#[must_use]
pub fn spelling(source: &str) -> String {
    match source.split_once(' ') {
        Some((address, host)) => format!("{} {}", address_spelling(address), host.to_ascii_lowercase()),
        None => address_spelling(source),
    }
}

fn address_spelling(address: &str) -> String {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = parts else { return address.to_ascii_lowercase() };
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let ip = match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<IpAddr>().ok(),
    };
    // A mapped address is reached by the other protocol's packets: it is the same one.
    let named = || format!("{}:{port}", host.to_ascii_lowercase());
    ip.map_or_else(named, |ip| SocketAddr::new(ip.to_canonical(), port).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spellings: &[&str]) {
        for text in spellings {
            assert_eq!(spelling(text), spellings[0]);
            assert_eq!(spelling(&spelling(text)), spellings[0]);
        }
    }

    #[test]
    fn what_certainly_is_the_same_has_one_spelling() {
        check(&["127.0.0.1:80", "127.0.0.1:080", "[::ffff:127.0.0.1]:80", "[::FFFF:7f00:1]:80"]);
        check(&["[::1]:8000", "[0:0:0:0:0:0:0:1]:8000", "[::0001]:8000"]);
        check(&["photos.internal:80", "Photos.INTERNAL:80"]);
        check(&["photos.internal:80 photos.example:8080", "PHOTOS.internal:80 Photos.example:8080"]);
    }

    #[test]
    fn what_may_be_another_one_is_left_apart() {
        let all = [
            "localhost:80",
            "127.0.0.1:80",
            "[::1]:80",
            "localhost.:80",
            "localhost:81",
            "localhost:80 a",
            "localhost:80 a:80",
            "",
            "odd",
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| spelling(one) != spelling(other)), "{one}");
        }
    }
}
