//! A connection that speaks RESP2 over a socket, with as little work a command as possible.
//!
//! The client shares the machine with the server it measures, so what it does not do is left to the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::Result;

/// What the server answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Nil,
    Status(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
    Error(String),
}

impl Reply {
    pub fn integer(&self) -> Option<i64> {
        if let Reply::Integer(number) = self { Some(*number) } else { None }
    }

    pub fn array(&self) -> &[Reply] {
        if let Reply::Array(items) = self { items } else { &[] }
    }

    /// A status or a bulk string as text for people.
    pub fn text(&self) -> String {
        match self {
            Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Reply::Status(text) | Reply::Error(text) => text.clone(),
            Reply::Integer(number) => number.to_string(),
            Reply::Nil => "(nil)".into(),
            Reply::Array(items) => format!("{items:?}"),
        }
    }
}

/// Time and number of calls of one command since the server started.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommandStat {
    pub calls: u64,
    pub usec: u64,
}

/// Commands that a pipeline has under way at a time, unless told otherwise.
pub const DEPTH: u64 = 64;

pub struct Connection {
    /// Commands that a pipeline has under way at a time.
    pub depth: u64,
    stream: TcpStream,
    replies: BufReader<TcpStream>,
    out: Vec<u8>,
}

impl Connection {
    pub fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let replies = BufReader::with_capacity(1 << 16, stream.try_clone()?);
        Ok(Self { depth: DEPTH, stream, replies, out: Vec::with_capacity(1 << 16) })
    }

    /// Appends a command to what the next [`Connection::flush`] sends.
    pub fn push<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.out, "*{}\r\n", args.len());
        for arg in args {
            let _ = write!(self.out, "${}\r\n", arg.as_ref().len());
            self.out.extend_from_slice(arg.as_ref());
            self.out.extend_from_slice(b"\r\n");
        }
    }

    pub fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Reads one reply; an error reply is a [`Reply::Error`], not an `Err`.
    pub fn receive(&mut self) -> Result<Reply> {
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        let line = line.trim_end_matches("\r\n");
        let (kind, rest) = line.split_at_checked(1).ok_or("the server closed the connection")?;
        Ok(match kind {
            "+" => Reply::Status(rest.into()),
            "-" => Reply::Error(rest.into()),
            ":" => Reply::Integer(rest.parse()?),
            "$" | "*" if rest == "-1" => Reply::Nil,
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                self.replies.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(bytes)
            }
            "*" => Reply::Array(
                (0..rest.parse::<usize>()?).map(|_| self.receive()).collect::<Result<_>>()?,
            ),
            _ => return Err(format!("not RESP: {line}").into()),
        })
    }

    /// Sends one command and waits for its reply; an error reply is an `Err`.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Reply> {
        self.push(args);
        self.flush()?;
        match self.receive()? {
            Reply::Error(text) => {
                let name = args.first().map(|name| String::from_utf8_lossy(name.as_ref()));
                Err(format!("{}: {text}", name.unwrap_or_default()).into())
            }
            reply => Ok(reply),
        }
    }

    /// Sends `count` commands, [`Connection::depth`] of them under way at a time, and shows `expect` each reply.
    ///
    /// # Errors
    ///
    /// The first reply that is an error, or for which `expect` is false. The connection is then of no further use.
    pub fn pipeline(
        &mut self,
        count: u64,
        mut command: impl FnMut(&mut Self, u64),
        expect: impl Fn(&Reply) -> bool,
    ) -> Result<()> {
        let mut sent = 0;
        while sent < count {
            let batch = self.depth.min(count - sent);
            (sent..sent + batch).for_each(|number| command(self, number));
            self.flush()?;
            for number in sent..sent + batch {
                let reply = self.receive()?;
                if matches!(reply, Reply::Error(_)) || !expect(&reply) {
                    return Err(format!("command {number} of a pipeline: {}", reply.text()).into());
                }
            }
            sent += batch;
        }
        Ok(())
    }

    /// One section of INFO as lines of `field:value`.
    pub fn info(&mut self, section: &str) -> Result<String> {
        Ok(self.call(&["INFO", section])?.text())
    }

    pub fn info_field(&mut self, section: &str, field: &str) -> Result<Option<String>> {
        Ok(field_of(&self.info(section)?, field).map(Into::into))
    }

    pub fn info_number(&mut self, section: &str, field: &str) -> Result<u64> {
        let value = self.info_field(section, field)?;
        Ok(value.ok_or_else(|| format!("INFO {section} has no {field}"))?.parse()?)
    }

    /// What `INFO commandstats` says of `command` (lower case); zero if it was never called.
    pub fn command_stat(&mut self, command: &str) -> Result<CommandStat> {
        let info = self.info("commandstats")?.to_lowercase();
        let Some(line) = field_of(&info, &format!("cmdstat_{command}")) else {
            return Ok(CommandStat::default());
        };
        let number = |name: &str| {
            let part = line.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            part.and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        Ok(CommandStat { calls: number("calls"), usec: number("usec") })
    }

    /// Time of `work` in the server, in microseconds a call of `command`, and the number of calls.
    pub fn time_in_server(
        &mut self,
        command: &str,
        work: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<(f64, u64)> {
        let before = self.command_stat(command)?;
        work(self)?;
        let after = self.command_stat(command)?;
        let calls = after.calls - before.calls;
        if calls == 0 {
            return Err(format!("{command} was not called while it was timed").into());
        }
        Ok(((after.usec - before.usec) as f64 / calls as f64, calls))
    }
}

fn field_of<'a>(info: &'a str, field: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).map(str::trim)
}
