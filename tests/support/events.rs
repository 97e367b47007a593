//! A listener for keyspace events.

use crate::stream::Wire;
use crate::{Client, Server};

/// The keyspace events of one server from the moment of [`Events::listen`]. The server must have been started with
/// `notify-keyspace-events`, keyevents (`E`) included.
pub struct Events {
    wire: Wire,
    marks: u32,
}

impl Events {
    /// Subscribes to the keyevents of all databases.
    pub fn listen(server: &Server) -> Self {
        let mut wire = Wire::connect(server, b"PSUBSCRIBE __keyevent@*__:* mark\r\n");
        for _ in 0..2 {
            let answer = wire.next_words();
            assert_eq!(answer.first().map(String::as_str), Some("psubscribe"), "{answer:?}");
        }
        Self { wire, marks: 0 }
    }

    /// The events since the last call, as `event key`, up to a mark that this call has `client` publish.
    pub fn read(&mut self, client: &mut Client) -> Vec<String> {
        self.marks += 1;
        let mark = self.marks.to_string();
        client.call(["PUBLISH", "mark", &mark]).expect("PUBLISH is delivered");
        let mut events = Vec::new();
        loop {
            let words = self.wire.next_words();
            let [_, _, channel, payload] = &words[..] else { panic!("not a message: {words:?}") };
            match channel.split_once("__:") {
                Some((_, event)) => events.push(format!("{event} {payload}")),
                None if payload == &mark => return events,
                None => {}
            }
        }
    }
}
