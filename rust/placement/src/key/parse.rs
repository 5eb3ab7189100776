//! Read key expressions.

use super::{KEY_BYTES_MAX, KeyError, Term};

const FORMS: &str = "write request.uri, request.path, request.ip, request.headers[\"name\"], request.cookies[\"name\"], \
                     request.query[\"name\"] or a \"text\"";

/// Read terms joined by `+`.
pub(super) fn terms(text: &str) -> Result<Vec<Term>, KeyError> {
    let mut reader = Reader { text, rest: text };
    if text.len() > KEY_BYTES_MAX {
        return Err(
            reader.refuse(format!("the key has {} bytes", text.len()), &format!("at most {KEY_BYTES_MAX} are read"))
        );
    }
    let mut terms = vec![reader.term()?];
    loop {
        reader.skip_spaces();
        if reader.rest.is_empty() {
            return Ok(terms);
        }
        if !reader.take("+") {
            return Err(reader.refuse(format!("{} is not expected", reader.next_word()), "join terms by +"));
        }
        terms.push(reader.term()?);
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn term(&mut self) -> Result<Term, KeyError> {
        self.skip_spaces();
        if self.rest.starts_with(['"', '\'']) {
            return self.quoted().map(Term::Text);
        }
        let start = self.rest;
        let found = self.word();
        let term = match found {
            "request.uri" => Term::Uri,
            "request.path" => Term::Path,
            "request.ip" => Term::Ip,
            "request.headers" => Term::Header(self.header()?),
            "request.cookies" => Term::Cookie(self.name()?),
            "request.query" => Term::Query(self.name()?),
            _ => {
                self.rest = start;
                let what = if start.is_empty() {
                    "a term is missing".into()
                } else {
                    format!("{} is not known", self.next_word())
                };
                return Err(self.refuse(what, FORMS));
            }
        };
        Ok(term)
    }

    /// Read `["name"]`, a header's name, which is put into lower case.
    fn header(&mut self) -> Result<String, KeyError> {
        let start = self.rest;
        let name = self.name()?;
        // RFC 9110 section 5.6.2: a field's name is a token.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if !name.bytes().all(is_token) {
            self.rest = start;
            return Err(self.refuse(format!("{name:?} is no header's name"), "write letters, digits and hyphens"));
        }
        Ok(name.to_ascii_lowercase())
    }

    /// Read `["name"]`.
    fn name(&mut self) -> Result<String, KeyError> {
        const REMEDY: &str = "name it in brackets and quotes, such as [\"id\"]";
        self.skip_spaces();
        if !self.take("[") {
            return Err(self.refuse("a name in brackets is missing".into(), REMEDY));
        }
        self.skip_spaces();
        let start = self.rest;
        if !start.starts_with(['"', '\'']) {
            return Err(self.refuse("a name in quotes is missing".into(), REMEDY));
        }
        let name = self.quoted()?;
        if name.is_empty() {
            self.rest = start;
            return Err(self.refuse("the name is empty".into(), REMEDY));
        }
        self.skip_spaces();
        if !self.take("]") {
            return Err(self.refuse("a closing bracket is missing".into(), REMEDY));
        }
        Ok(name)
    }

    /// Read a text in quotes; a backslash stands before a quote or a backslash only.
    fn quoted(&mut self) -> Result<String, KeyError> {
        let start = self.rest;
        let mut text = String::new();
        let mut letters = start.char_indices();
        let quote = letters.next().map_or('"', |(_, letter)| letter);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some((_, escaped @ ('"' | '\'' | '\\'))) => text.push(escaped),
                    _ => {
                        self.rest = &start[at..];
                        return Err(self.refuse("an escape is not known".into(), "write only \\\", \\' or \\\\"));
                    }
                },
                _ if letter == quote => {
                    self.rest = &start[at + letter.len_utf8()..];
                    return Ok(text);
                }
                _ => text.push(letter),
            }
        }
        Err(self.refuse("a text has no end".into(), "close it with the quote it starts with"))
    }

    fn word(&mut self) -> &'a str {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_');
        let end = self.rest.find(|letter| !is_part(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// Return what stands next in quotes, for a message: up to a space, 40 characters at most.
    fn next_word(&self) -> String {
        let word: String = self.rest.chars().take(40).take_while(|letter| !letter.is_whitespace()).collect();
        format!("{word:?}")
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.rest.strip_prefix(token).inspect(|rest| self.rest = rest).is_some()
    }

    fn refuse(&self, what: String, remedy: &str) -> KeyError {
        let before = &self.text[..self.text.len() - self.rest.len()];
        KeyError { what, column: before.chars().count() + 1, remedy: remedy.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Key;

    #[test]
    fn an_expression_is_read_and_written_alike() {
        for (text, written) in [
            ("request.uri", "request.uri"),
            (" request.path+request.ip ", "request.path + request.ip"),
            ("request.headers[ \"X-User\" ]", "request.headers[\"x-user\"]"),
            ("request.cookies['sid'] + \"a\\\"+\\\\\"", "request.cookies[\"sid\"] + \"a\\\"+\\\\\""),
            ("request.query['ü']+''", "request.query[\"ü\"] + \"\""),
        ] {
            assert_eq!(Key::parse(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (text, column, what) in [
            ("", 1, "a term is missing"),
            ("request.uri + ", 15, "a term is missing"),
            ("request.url", 1, "\"request.url\" is not known"),
            ("request.uri request.ip", 13, "\"request.ip\" is not expected"),
            ("\"ü\" + uri", 7, "\"uri\" is not known"),
            ("request.headers", 16, "a name in brackets is missing"),
            ("request.headers[x]", 17, "a name in quotes is missing"),
            ("request.headers[\"\"]", 17, "the name is empty"),
            ("request.headers[\"a b\"]", 16, "\"a b\" is no header's name"),
            ("request.cookies[\"a\"", 20, "a closing bracket is missing"),
            ("\"abc", 1, "a text has no end"),
            ("\"a\\n\"", 3, "an escape is not known"),
            ("request.uri[0]", 12, "\"[0]\" is not expected"),
        ] {
            let error = Key::parse(text).unwrap_err();
            assert_eq!((error.column, error.what.as_str()), (column, what), "{text}");
        }
    }

    #[test]
    fn a_long_expression_is_refused() {
        assert!(Key::parse(&"\"a\"+".repeat(2000)).unwrap_err().what.contains("8000 bytes"));
    }
}
