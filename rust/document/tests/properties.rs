//! Whatever arrives, it is read or refused with a reason.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use alongside_document::{Address, Document, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A document with something of everything.
fn whole() -> Value {
    json!({"schema": 1, "epoch": 3, "generation": 4, "threads": 2,
        "listeners": [{"name": "web", "address": "127.0.0.1:8080", "serves": "photos", "inner": ["127.0.0.0/8"]}],
        "status": {"address": "127.0.0.1:9090"}, "admin": {"path": "/run/a.sock"},
        "nodes": [{"id": "a", "address": "127.0.0.1:1"}],
        "routes": [{"name": "photos", "key": "request.uri", "function": "ketama", "compatible_with": "nginx",
            "shards": [{"name": "a", "weight": 2, "replicas": ["a"]}], "origin": {"address": "o:80"},
            "health": {"probe": "http", "path": "/up", "errors_max": null, "slow_times": 3},
            "retries": {"percent": 10, "fallback": "next_shard"}, "buffer_bytes": 9}],
        "caches": [{"name": "c", "origin": {"address": "o:80", "host": "h"}, "memory_bytes": 1_048_576, "object_bytes_max": 5,
            "replica": {"id": "a", "siblings": [{"id": "b", "address": "127.0.0.1:2"}], "warm_bytes_per_s": 4096}}],
        "tcp": [{"name": "t", "backends": [{"id": "a", "address": "127.0.0.1:3"}], "attempts_max": 2, "left_ms": 20, "keepalive_ms": null}],
        "limits": {"fields_max": 50, "body_bytes_max": 7}, "access_log": {"one_in": 10}})
}

/// Return the paths of everything in a value, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| pointers(value, &format!("{at}/{name}"), found))
        }
        Value::Array(items) => {
            (0..).zip(items).for_each(|(index, item): (usize, _)| pointers(item, &format!("{at}/{index}"), found))
        }
        _ => {}
    }
}

fn some_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{}])),
        Just(json!([[1]])),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_with_a_reason(bytes: Vec<u8>) {
        prop_assert!(parse(&bytes).is_err_and(|problems| !problems.is_empty()));
    }

    #[test]
    fn a_document_with_one_part_replaced_is_whole_or_refused_with_a_reason(place: prop::sample::Index, value in some_value()) {
        let mut document = whole();
        prop_assert!(parse(document.to_string().as_bytes()).is_ok());
        let mut found = Vec::new();
        pointers(&document, "", &mut found);
        *document.pointer_mut(&found[place.index(found.len())]).unwrap() = value;
        match parse(document.to_string().as_bytes()) {
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                // The typed reader is the last resort: what it refuses, the checks should have found.
                prop_assert!(problems.iter().all(|problem| problem.remedy != "write it as the schema says"), "{:?}", problems);
            }
            Ok(read) => prop_assert_eq!(parse(&serde_json::to_vec(&read).unwrap()).unwrap(), read),
        }
    }

    #[test]
    fn what_the_checks_let_through_the_types_read(text in "[\\[\\]0-9a-f:.]{0,20}") {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.as_str(), &text);
            prop_assert!(!address.host().is_empty() && !address.host().contains(['[', ']']));
        }
    }
}

#[test]
fn the_typed_reader_alone_refuses_unknown_fields_too() {
    let mut document = whole();
    document["routes"][0]["shards"][0]["wieght"] = json!(1);
    assert!(serde_json::from_value::<Document>(document).is_err());
}
