//! A replica that only listens: it sees the commands a primary propagates, word by word.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::{Client, Server, deadline};

const MARK_KEY: &str = "mark-of-the-stream";
/// What the server itself adds to the stream.
const BOOKKEEPING: [&str; 5] = ["SELECT", "PING", "MULTI", "EXEC", "REPLCONF"];

/// The replication stream of one server from the moment of [`Stream::attach`].
pub struct Stream {
    wire: Wire,
    marks: u32,
}

impl Stream {
    /// Attaches with `SYNC` and reads past the snapshot.
    pub fn attach(server: &Server) -> Self {
        let mut wire = Wire::connect(server, b"SYNC\r\n");
        let header = loop {
            // Empty lines say that the snapshot is being made.
            let line = wire.line();
            if !line.is_empty() {
                break line;
            }
        };
        let size = header.strip_prefix('$').and_then(|size| size.parse().ok());
        wire.skip(size.unwrap_or_else(|| panic!("not the size of a snapshot: {header}")));
        Self { wire, marks: 0 }
    }

    /// Attaches where a replica left off that had read up to `offset`, as `INFO` names it.
    pub fn resume(server: &Server, client: &mut Client, offset: i64) -> Self {
        let id = client.info_field("master_replid").expect("INFO names the stream");
        let mut wire = Wire::connect(server, format!("PSYNC {id} {}\r\n", offset + 1).as_bytes());
        let answer = wire.line();
        assert!(answer.starts_with("+CONTINUE"), "no partial resynchronisation: {answer}");
        Self { wire, marks: 1_000_000 }
    }

    /// All commands since the last call, as lines, without the server's own bookkeeping (SELECT, PING, MULTI, EXEC).
    pub fn read(&mut self, client: &mut Client) -> Vec<String> {
        let mut commands = self.read_all(client);
        commands.retain(|words| !BOOKKEEPING.contains(&words[0].to_uppercase().as_str()));
        commands.into_iter().map(|words| words.join(" ")).collect()
    }

    /// All commands since the last call, each as its words, up to a mark that this call has `client` publish.
    pub fn read_all(&mut self, client: &mut Client) -> Vec<Vec<String>> {
        self.marks += 1;
        let mark = format!("mark {}", self.marks);
        // In a cluster PUBLISH does not go through the stream.
        if client.info("cluster_enabled") == 1 {
            client.call(["SET", MARK_KEY, &mark]).expect("SET is propagated");
            client.call(["DEL", MARK_KEY]).expect("DEL is propagated");
        } else {
            client.call(["PUBLISH", MARK_KEY, &mark]).expect("PUBLISH is propagated");
        }
        let mut commands = Vec::new();
        loop {
            let words = self.wire.next_words();
            if words.last() == Some(&mark) {
                return commands;
            }
            if words.get(1).is_none_or(|key| key != MARK_KEY) {
                commands.push(words);
            }
        }
    }
}

/// A socket that is read array by array.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    pub(crate) fn connect(server: &Server, greeting: &[u8]) -> Self {
        let mut socket =
            TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens");
        socket.set_read_timeout(Some(deadline())).expect("a timeout can be set");
        socket.write_all(greeting).expect("the server reads");
        Self(BufReader::new(socket))
    }

    /// The next array, as words.
    pub(crate) fn next_words(&mut self) -> Vec<String> {
        loop {
            let line = self.line();
            if let Some(count) = line.strip_prefix('*') {
                let count: usize = count.parse().expect("a count");
                return (0..count).map(|_| self.word()).collect();
            }
        }
    }

    fn word(&mut self) -> String {
        let line = self.line();
        if let Some(number) = line.strip_prefix(':') {
            return number.to_owned();
        }
        let size = line.strip_prefix('$').and_then(|size| size.parse::<usize>().ok());
        let size = size.unwrap_or_else(|| panic!("not the size of a word: {line}"));
        let mut word = vec![0; size + 2];
        self.0.read_exact(&mut word).expect("a whole word");
        word.truncate(size);
        String::from_utf8_lossy(&word).into_owned()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).expect("the server goes on sending");
        assert_ne!(read, 0, "the server closed the connection");
        line.trim_end().to_owned()
    }

    fn skip(&mut self, bytes: u64) {
        let skipped = std::io::copy(&mut self.0.by_ref().take(bytes), &mut std::io::sink());
        assert_eq!(skipped.expect("a whole snapshot"), bytes);
    }
}
