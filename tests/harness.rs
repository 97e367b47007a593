//! The harness itself: servers start without the module too, restart in place, and are gone when dropped.

use support::{Server, Stream};

#[test]
fn a_server_keeps_its_port_and_append_only_file_over_a_restart() {
    let mut server = Server::builder().without_module().arg("appendonly", "yes").start();
    let port = server.port();
    server.connect().ok("SET key value");

    server.restart();

    assert_eq!(server.port(), port);
    assert_eq!(server.connect().text("GET key").as_deref(), Some("value"));
}

#[test]
fn a_replica_catches_up_with_its_primary() {
    let primary = Server::builder().without_module().start();
    let replica = Server::builder().without_module().replica_of(&primary).start();

    primary.connect().ok("SET key value");
    replica.catch_up_with(&primary);

    assert_eq!(replica.connect().text("GET key").as_deref(), Some("value"));
}

#[test]
fn a_stream_shows_what_a_server_propagates() {
    let server = Server::builder().without_module().start();
    let mut stream = Stream::attach(&server);
    let mut con = server.connect();
    con.ok("SET key \"two words\"");
    con.ok("GET key");

    assert_eq!(stream.read(&mut con), ["SET key two words"]);
    assert!(stream.read(&mut con).is_empty());
}

#[test]
fn a_connection_speaks_the_protocol_it_was_asked_for() {
    let server = Server::builder().without_module().start();

    assert!(matches!(server.connect().ok("CONFIG GET port"), support::Value::Array(_)));
    assert!(matches!(server.connect_resp3().ok("CONFIG GET port"), support::Value::Map(_)));
}

#[test]
fn a_dropped_server_is_gone() {
    let server = Server::builder().without_module().start();
    let port = server.port();

    drop(server);

    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}
