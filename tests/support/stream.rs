//! A replica that only listens: it sees the commands a primary propagates, word by word.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::{Client, DEADLINE, Server};

/// The replication stream of one server from the moment of [`Stream::attach`].
pub struct Stream {
    reader: BufReader<TcpStream>,
    marks: u32,
}

impl Stream {
    /// Attaches with `SYNC` and reads past the snapshot.
    pub fn attach(server: &Server) -> Self {
        let mut socket =
            TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        socket.write_all(b"SYNC\r\n").expect("the server reads");
        let mut reader = BufReader::new(socket);
        let header = loop {
            let line = read_line(&mut reader);
            if !line.is_empty() {
                break line;
            }
        };
        let size: u64 =
            header.strip_prefix('$').and_then(|n| n.parse().ok()).expect("the size of a snapshot");
        std::io::copy(&mut reader.by_ref().take(size), &mut std::io::sink())
            .expect("a whole snapshot");
        Self { reader, marks: 0 }
    }

    /// All commands since the last call, as lines. Bookkeeping of the server (SELECT, PING, MULTI, EXEC) is left out.
    pub fn read(&mut self, client: &mut Client) -> Vec<String> {
        self.read_all(client)
            .into_iter()
            .filter(|words| {
                !["SELECT", "PING", "MULTI", "EXEC", "REPLCONF"]
                    .contains(&words[0].to_uppercase().as_str())
            })
            .map(|words| words.join(" "))
            .collect()
    }

    /// All commands since the last call, each as its words, up to a mark that this call has `client` publish.
    pub fn read_all(&mut self, client: &mut Client) -> Vec<Vec<String>> {
        self.marks += 1;
        let mark = format!("mark {}", self.marks);
        client.call(["PUBLISH", "stream", &mark]).expect("PUBLISH is propagated");
        let mut commands = Vec::new();
        loop {
            let words = self.next_command();
            if words.last() == Some(&mark) {
                return commands;
            }
            commands.push(words);
        }
    }

    fn next_command(&mut self) -> Vec<String> {
        loop {
            let line = read_line(&mut self.reader);
            let Some(count) = line.strip_prefix('*') else { continue };
            return (0..count.parse::<usize>().expect("a count"))
                .map(|_| self.next_word())
                .collect();
        }
    }

    fn next_word(&mut self) -> String {
        let line = read_line(&mut self.reader);
        let size: usize =
            line.strip_prefix('$').and_then(|n| n.parse().ok()).expect("the size of a word");
        let mut word = vec![0; size + 2];
        self.reader.read_exact(&mut word).expect("a whole word");
        word.truncate(size);
        String::from_utf8_lossy(&word).into_owned()
    }
}

fn read_line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let read = reader.read_line(&mut line).expect("the server goes on sending");
    assert_ne!(read, 0, "the server closed the replication stream");
    line.trim_end().to_owned()
}
