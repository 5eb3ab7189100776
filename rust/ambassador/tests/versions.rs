//! What is believed of servers about RESP3, by which signs, and what of it counts against them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::sync::Arc;

use alongside_ambassador::core::{Terms, Why};
use alongside_ambassador::counters::Standing;
use serde_json::{Value, json};
use world::redis::{ask, newer, send};
use world::{Health, World};

fn world(servers: usize, more: &Value) -> (World, Arc<Terms>, Vec<String>) {
    world::of("redis", servers, more)
}

fn get(key: &str) -> String {
    format!("GET {key}")
}

#[test]
fn one_moment_counts_once_whatever_the_connections_speak() {
    let (mut world, terms, k) = world(2, &json!({"ejection": {"failures": 2}}));
    let (old, new) = (world.connect(), newer(&mut world));
    for why in [Why::Reset, Why::TimedOut] {
        for client in [old, new] {
            ask(&mut world, client, &[&get(&k[1])]);
        }
        world.server(1).health = Health::Silent;
        for client in [old, new] {
            send(&mut world, client, &[&get(&k[1])]);
        }
        world.settle();
        if why == Why::Reset {
            world.break_links(1, why);
        } else {
            world.run_ms(120);
        }
        assert_eq!(terms.servers[1].standing(), Standing::Good, "{}", why.as_str());
        world.server(1).health = Health::Good;
        world.run_ms(500);
        world.take(old);
        world.take(new);
    }
    // Failures of one version are as many as ever.
    world.server(1).health = Health::Silent;
    for standing in [Standing::Good, Standing::Ejected] {
        send(&mut world, old, &[&get(&k[1])]);
        world.settle();
        world.break_links(1, Why::Reset);
        assert_eq!(terms.servers[1].standing(), standing);
    }
}
