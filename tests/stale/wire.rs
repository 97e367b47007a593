//! A connection that sends many commands at a time, with little work for each.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::TcpStream;

use support::deadline;

/// What the server answers, in RESP2.
#[derive(Debug, PartialEq)]
pub enum Reply {
    Nil,
    Status,
    Integer(u64),
    Bytes(Vec<u8>),
    Array(Vec<Reply>),
    Error(String),
}

pub struct Wire {
    stream: TcpStream,
    replies: BufReader<TcpStream>,
    line: Vec<u8>,
}

impl Wire {
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(deadline()))?;
        let replies = BufReader::with_capacity(1 << 16, stream.try_clone()?);
        Ok(Self { stream, replies, line: Vec::new() })
    }

    /// Appends a command to `out`.
    pub fn pack(out: &mut Vec<u8>, words: &[&str]) {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "*{}\r\n", words.len());
        for word in words {
            let _ = write!(out, "${}\r\n{word}\r\n", word.len());
        }
    }

    pub fn send(&mut self, commands: &[u8]) -> io::Result<()> {
        self.stream.write_all(commands)
    }

    /// The next reply. An error reply is a [`Reply::Error`]; an `Err` is the end of the connection.
    pub fn receive(&mut self) -> io::Result<Reply> {
        self.line.clear();
        self.replies.read_until(b'\n', &mut self.line)?;
        let line = str::from_utf8(&self.line).unwrap_or_default().trim_end();
        let (kind, rest) = line.split_at_checked(1).ok_or(ErrorKind::UnexpectedEof)?;
        let not_resp = || Error::other(format!("not RESP: {line}"));
        Ok(match kind {
            "+" => Reply::Status,
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Integer(rest.parse().map_err(|_| not_resp())?),
            "$" | "*" if rest == "-1" => Reply::Nil,
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>().map_err(|_| not_resp())? + 2];
                self.replies.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Bytes(bytes)
            }
            "*" => {
                let count = rest.parse::<usize>().map_err(|_| not_resp())?;
                Reply::Array((0..count).map(|_| self.receive()).collect::<io::Result<_>>()?)
            }
            _ => return Err(not_resp()),
        })
    }
}
