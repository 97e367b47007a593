//! Tests of the module in a real server: one file per command, and one per concern of the server.
mod harness;
