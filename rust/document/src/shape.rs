//! Compare a JSON value with the schema, so that every mistake is found and not only the first.

use serde_json::{Map, Value};

use crate::problem::{Problem, shown};
use crate::texts::{Address, FilePath, HostField, HostName, Name, Network, SocketPath, Target, TextError, Url};

/// Return everything in which a value is not as the schema says.
pub(crate) fn problems(schema: &Value, value: &Value) -> Vec<Problem> {
    let mut walk = Walk { root: schema, problems: Vec::new() };
    walk.visit("", schema, value);
    walk.problems
}

struct Walk<'s> {
    root: &'s Value,
    problems: Vec<Problem>,
}

impl<'s> Walk<'s> {
    /// Check a value and what is in it; it goes no deeper than the schema does.
    fn visit(&mut self, path: &str, schema: &'s Value, value: &Value) {
        if let Some(name) = schema["$ref"].as_str() {
            let (root, name) = (self.root, name.trim_start_matches("#/$defs/"));
            self.visit(path, &root["$defs"][name], value);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            return self.any_of(path, choices, value);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            return self.one_of(path, choices, value);
        }
        if !is_of_type(schema, value) {
            let remedy = format!("write {}", type_named(schema));
            return self.refuse(path, format!("{} is {}", shown(value), kind_of(value)), remedy);
        }
        match value {
            Value::Object(fields) => self.object(path, schema, fields),
            Value::Array(items) => self.array(path, schema, items),
            Value::Number(_) => self.number(path, schema, value),
            Value::String(text) => self.text(path, schema, text),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Check what may be null or something else.
    fn any_of(&mut self, path: &str, choices: &'s [Value], value: &Value) {
        if !value.is_null() {
            choices.iter().filter(|choice| choice["type"] != "null").for_each(|choice| self.visit(path, choice, value));
        }
    }

    /// Check one of a few words.
    fn one_of(&mut self, path: &str, choices: &[Value], value: &Value) {
        if choices.iter().any(|choice| choice["const"] == *value) {
            return;
        }
        let words: Vec<&str> = choices.iter().filter_map(|choice| choice["const"].as_str()).collect();
        self.refuse(
            path,
            format!("{} is not known", shown(value)),
            suggestion(value.as_str().unwrap_or_default(), &words),
        );
    }

    fn object(&mut self, path: &str, schema: &'s Value, fields: &Map<String, Value>) {
        let Some(known) = schema["properties"].as_object() else { return };
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        for (name, value) in fields {
            let inner = below(path, name);
            match known.get(name) {
                Some(schema) => self.visit(&inner, schema, value),
                None => self.refuse(&inner, "the field is not known".into(), suggestion(name, &names)),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !fields.contains_key(*name)) {
            let description = known[name]["description"].as_str().unwrap_or_default();
            self.refuse(&below(path, name), "it is missing".into(), format!("write it: {}", as_remedy(description)));
        }
    }

    fn array(&mut self, path: &str, schema: &'s Value, items: &[Value]) {
        for (index, item) in items.iter().enumerate() {
            self.visit(&format!("{path}[{index}]"), &schema["items"], item);
        }
        let length = items.len() as u64;
        if schema["minItems"].as_u64().is_some_and(|least| length < least) {
            self.refuse(path, "the list is empty".into(), "write at least one entry".into());
        }
        if let Some(most) = schema["maxItems"].as_u64().filter(|most| length > *most) {
            self.refuse(path, format!("the list has {length} entries"), format!("write at most {most}"));
        }
    }

    fn number(&mut self, path: &str, schema: &Value, value: &Value) {
        let of_width = if schema["format"] == "uint32" { u64::from(u32::MAX) } else { u64::MAX };
        let least = schema["minimum"].as_u64().unwrap_or_default();
        let most = schema["maximum"].as_u64().unwrap_or(of_width);
        if !value.as_u64().is_some_and(|number| (least..=most).contains(&number)) {
            let range = match (least, most) {
                (least, most) if least == most => format!("write {least}"),
                (least, u64::MAX) => format!("write at least {least}"),
                (least, most) => format!("write {least} to {most}"),
            };
            self.refuse(path, format!("{value} is out of range"), range);
        }
    }

    fn text(&mut self, path: &str, schema: &Value, text: &str) {
        let length = text.len() as u64;
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
            return self.refuse(path, format!("the text has {length} bytes"), format!("write at most {most}"));
        }
        let found = match schema["format"].as_str() {
            Some("name") => text.parse::<Name>().err(),
            Some("address") => text.parse::<Address>().err(),
            Some("network") => text.parse::<Network>().err(),
            Some("host-field") => text.parse::<HostField>().err(),
            Some("socket-path") => text.parse::<SocketPath>().err(),
            Some("file-path") => text.parse::<FilePath>().err(),
            Some("host-name") => text.parse::<HostName>().err(),
            Some("target") => text.parse::<Target>().err(),
            Some("https-url") => text.parse::<Url>().err(),
            Some("peer-address") => peer_error(text),
            Some("path") => path_error(text),
            Some("key") => return self.key(path, text),
            _ => None,
        };
        if let Some(error) = found {
            self.refuse(path, format!("{} {}", shown(&Value::from(text)), error.what), error.remedy);
        }
    }

    fn key(&mut self, path: &str, text: &str) {
        if let Err(error) = alongside_placement::key::Key::parse(text) {
            let what = format!("{} is no key: {} at character {}", shown(&Value::from(text)), error.what, error.column);
            self.refuse(path, what, error.remedy);
        }
    }

    fn refuse(&mut self, path: &str, what: String, remedy: String) {
        self.problems.push(Problem { path: path.to_owned(), what, remedy });
    }
}

/// Return why an address cannot be connected to; one that is no address is reported as such already.
fn peer_error(text: &str) -> Option<TextError> {
    let address = text.parse::<Address>().ok()?;
    (address.port() == 0).then(|| TextError { what: "has port 0", remedy: "write the port that is listened on".into() })
}

/// Return why a text is no path to ask for.
fn path_error(text: &str) -> Option<TextError> {
    let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    (!is_path).then(|| TextError { what: "is no path", remedy: "write one such as /healthz".into() })
}

/// Return the path of a field.
fn below(path: &str, name: &str) -> String {
    let name = if name.len() > 80 { "…".to_owned() } else { name.escape_debug().to_string() };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// Return a description as the end of a sentence.
fn as_remedy(description: &str) -> String {
    let mut letters = description.trim_end_matches('.').replace('\n', " ");
    if let Some(first) = letters.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    letters
}

/// Name the nearest of the known words, or all of them where none is near.
fn suggestion(found: &str, known: &[&str]) -> String {
    let distance = |word: &&str| strsim::damerau_levenshtein(found, word);
    match known.iter().copied().min_by_key(distance) {
        Some(nearest) if found.len() <= 80 && distance(&nearest) <= 1 + nearest.len() / 4 => {
            format!("did you mean {nearest:?}?")
        }
        _ => format!("write one of {}", known.join(", ")),
    }
}

fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let several = schema["type"].as_array().into_iter().flatten();
    schema["type"].as_str().into_iter().chain(several.filter_map(Value::as_str))
}

fn is_of_type(schema: &Value, value: &Value) -> bool {
    let mut any = false;
    let found = types(schema).any(|name| {
        any = true;
        match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_u64() || value.is_i64(),
            "null" => value.is_null(),
            _ => true,
        }
    });
    found || !any
}

fn type_named(schema: &Value) -> String {
    let named = |name: &str| match name {
        "object" => "an object",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        _ => "null",
    };
    types(schema).map(named).collect::<Vec<_>>().join(" or ")
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "not allowed",
        Value::Bool(_) => "a truth value",
        Value::Number(number) if number.is_f64() => "no whole number",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
