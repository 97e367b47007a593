//! A connection that takes command lines as a prompt does.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver};

use redis::{Connection, PushInfo, RedisError, Value};

use crate::wait::eventually;

/// What a server answers to one command.
pub type Reply = Result<Value, RedisError>;

/// A connection to one server. Methods that expect a kind of answer panic on every other kind.
pub struct Client {
    connection: Connection,
    name: &'static str,
}

impl Client {
    pub(crate) fn new(connection: Connection, name: &'static str) -> Self {
        Self { connection, name }
    }

    /// Where the server's pushes arrive from now on, each as its kind and what it says. Only with RESP3; they are read
    /// along with the answers to commands.
    pub fn pushes(&mut self) -> Receiver<PushInfo> {
        let (sender, receiver) = mpsc::channel();
        self.connection.set_push_sender(sender);
        receiver
    }

    /// Sends words as they are and returns what came back.
    pub fn call<W: AsRef<[u8]>>(&mut self, words: impl IntoIterator<Item = W>) -> Reply {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word.as_ref());
        }
        match command.query(&mut self.connection)? {
            Value::ServerError(error) => Err(error.into()),
            value => Ok(value),
        }
    }

    /// Sends a command line, and leaves the answer for [`Client::receive`].
    #[track_caller]
    pub fn send(&mut self, line: &str) {
        let mut command = redis::Cmd::new();
        split(line).iter().for_each(|word| {
            command.arg(word);
        });
        if let Err(error) = self.connection.send_packed_command(&command.get_packed_command()) {
            panic!("{}: {line}: {error}", self.name);
        }
    }

    /// The answer to a line that was sent.
    pub fn receive(&mut self) -> Reply {
        match self.connection.recv_response()? {
            Value::ServerError(error) => Err(error.into()),
            value => Ok(value),
        }
    }

    /// Sends a command line. Words are parted by blanks; double quotes keep blanks and make empty words.
    pub fn run(&mut self, line: &str) -> Reply {
        self.call(split(line))
    }

    /// The answer to a line that must succeed.
    #[track_caller]
    pub fn ok(&mut self, line: &str) -> Value {
        match self.run(line) {
            Ok(value) => value,
            Err(error) => panic!("{}: {line}: {}", self.name, text_of_error(&error)),
        }
    }

    /// An integer answer.
    #[track_caller]
    pub fn int(&mut self, line: &str) -> i64 {
        match self.ok(line) {
            Value::Int(number) => number,
            other => panic!("{line}: not an integer: {other:?}"),
        }
    }

    /// A string answer, or nil.
    #[track_caller]
    pub fn text(&mut self, line: &str) -> Option<String> {
        match self.ok(line) {
            Value::Nil => None,
            value => Some(as_text(&value)),
        }
    }

    /// An array answer.
    #[track_caller]
    pub fn list(&mut self, line: &str) -> Vec<Value> {
        match self.ok(line) {
            Value::Array(items) => items,
            other => panic!("{line}: not an array: {other:?}"),
        }
    }

    /// A map answer, which RESP2 sends as a flat array.
    #[track_caller]
    pub fn map(&mut self, line: &str) -> BTreeMap<String, Value> {
        as_map(&self.ok(line))
    }

    /// The error that a line must end with: code, blank, text.
    #[track_caller]
    pub fn error(&mut self, line: &str) -> String {
        self.error_of(split(line))
    }

    /// The error that these words must end with.
    #[track_caller]
    pub fn error_of<W: AsRef<[u8]>>(&mut self, words: impl IntoIterator<Item = W>) -> String {
        let words: Vec<W> = words.into_iter().collect();
        match self.call(&words) {
            Err(error) => text_of_error(&error),
            Ok(value) => {
                let line: Vec<_> =
                    words.iter().map(|word| String::from_utf8_lossy(word.as_ref())).collect();
                panic!("{}: {}: no error but {value:?}", self.name, line.join(" "))
            }
        }
    }

    /// Sends many commands before it reads the answers, which must not be errors.
    #[track_caller]
    pub fn pipeline(&mut self, lines: impl IntoIterator<Item = String>) -> Vec<Value> {
        let lines: Vec<String> = lines.into_iter().collect();
        let mut answers = Vec::with_capacity(lines.len());
        for chunk in lines.chunks(1000) {
            let mut pipe = redis::pipe();
            for line in chunk {
                let mut command = redis::Cmd::new();
                for word in split(line) {
                    command.arg(word);
                }
                pipe.add_command(command);
            }
            match pipe.query::<Vec<Value>>(&mut self.connection) {
                Ok(values) => answers.extend(values),
                Err(error) => panic!("{}: {error}", self.name),
            }
        }
        answers
    }

    /// Stores `value of <key>` under `conditions` (`post author=7 user *`) and returns the version.
    #[track_caller]
    pub fn store(&mut self, key: &str, conditions: &str) -> i64 {
        self.int(&format!("CACHEOPS.STORE {key} \"value of {key}\" ON {conditions}"))
    }

    /// Whether `key` is a hit. A hit with a value that [`Client::store`] did not write for that key is a failure.
    #[track_caller]
    pub fn hits(&mut self, key: &str) -> bool {
        match self.text(&format!("CACHEOPS.GET {key}")) {
            None => false,
            Some(value) => {
                assert_eq!(value, format!("value of {key}"));
                true
            }
        }
    }

    /// Those of `keys` that are hits.
    #[track_caller]
    pub fn hits_of<'a>(&mut self, keys: &[&'a str]) -> Vec<&'a str> {
        keys.iter().copied().filter(|key| self.hits(key)).collect()
    }

    /// Sends the rows (`post id=42&author=7`) and returns the links cut.
    #[track_caller]
    pub fn invalidate(&mut self, rows: &str) -> i64 {
        self.int(&format!("CACHEOPS.INVALIDATE ON {rows}"))
    }

    /// Invalidates the rows, which must concern somebody, and runs the lines before anything can be reclaimed: in one
    /// transaction. Returns what the lines are answered.
    #[track_caller]
    pub fn while_dead(&mut self, rows: &str, lines: &[&str]) -> Vec<Value> {
        self.ok("MULTI");
        self.ok(&format!("CACHEOPS.INVALIDATE ON {rows}"));
        for line in lines {
            self.ok(line);
        }
        let mut answers = self.list("EXEC");
        assert!(matches!(answers.remove(0), Value::Int(1..)), "nothing depends on {rows}");
        answers
    }

    /// A field of INFO as text, if it is there.
    #[track_caller]
    pub fn info_field(&mut self, field: &str) -> Option<String> {
        let info = self.text("INFO everything")?;
        info.lines()
            .find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
    }

    /// A field of INFO as a number.
    #[track_caller]
    pub fn info(&mut self, field: &str) -> i64 {
        let Some(text) = self.info_field(field) else {
            panic!("{}: INFO has no field {field}", self.name)
        };
        match text.parse() {
            Ok(number) => number,
            Err(_) => panic!("{}: INFO field {field} is no integer: {text}", self.name),
        }
    }

    /// How often the server has run a command (`cacheops.get`), from its own statistics.
    #[track_caller]
    pub fn calls_of(&mut self, command: &str) -> i64 {
        let Some(stats) = self.info_field(&format!("cmdstat_{}", command.to_lowercase())) else {
            return 0;
        };
        let calls = stats.split(',').find_map(|part| part.strip_prefix("calls="));
        calls.and_then(|calls| calls.parse().ok()).unwrap_or_default()
    }

    /// Fails unless no entry, link or conjunction is left, at this very moment. Values may still be on their way out in
    /// another thread, and what is noted as dead may wait.
    #[track_caller]
    pub fn assert_index_is_empty(&mut self) {
        let fields = ["entries", "links", "conjunctions"];
        let left = fields.map(|field| self.info(&format!("cacheops_{field}")));
        assert_eq!(left, [0; 3], "{}: {fields:?}", self.name);
        eventually("the values are freed", || self.info("cacheops_value_bytes") == 0);
    }

    /// Waits until no entry, dead or alive, is left in the index.
    #[track_caller]
    pub fn wait_for_empty_index(&mut self) {
        eventually("the index is empty", || {
            ["entries", "links", "conjunctions", "dead"]
                .iter()
                .all(|f| self.info(&format!("cacheops_{f}")) == 0)
        });
    }

    /// Waits until all dead entries are reclaimed.
    #[track_caller]
    pub fn wait_until_reclaimed(&mut self) {
        eventually("dead entries are reclaimed", || self.info("cacheops_dead") == 0);
    }
}

/// A string, status or number as text.
#[track_caller]
pub fn as_text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        Value::Okay => "OK".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Nil => "nil".to_owned(),
        other => panic!("not a string: {other:?}"),
    }
}

/// A map, or a flat array of names and values.
#[track_caller]
pub fn as_map(value: &Value) -> BTreeMap<String, Value> {
    match value {
        Value::Map(pairs) => {
            pairs.iter().map(|(name, value)| (as_text(name), value.clone())).collect()
        }
        Value::Array(items) => {
            assert!(items.len().is_multiple_of(2), "not pairs: {items:?}");
            items.chunks(2).map(|pair| (as_text(&pair[0]), pair[1].clone())).collect()
        }
        other => panic!("not a map: {other:?}"),
    }
}

fn text_of_error(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        _ => error.to_string(),
    }
}

fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                quoted.split_once('"').unwrap_or_else(|| panic!("quote left open: {line}"))
            }
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}
