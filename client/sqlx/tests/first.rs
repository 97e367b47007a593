//! The first program of docs/sqlx.md: it runs, and it is what the page shows.

use std::env;
use std::process::Command;

use support::Server;

#[path = "../examples/first.rs"]
mod first;

#[test]
#[ignore = "the program itself: the test below runs it in a process of its own"]
fn program() {
    first::main().unwrap();
}

#[test]
fn the_first_program_has_one_hit_and_sees_its_write() {
    let server = Server::start();

    // With one thread, libtest writes the test's name before its first line.
    let program = || {
        let program = Command::new(env::current_exe().unwrap())
            .args(["program", "--exact", "--ignored", "--nocapture", "--test-threads=2"])
            .env("REDIS_URL", format!("redis://127.0.0.1:{}/", server.port()))
            .output()
            .unwrap();
        String::from_utf8_lossy(&program.stdout).into_owned()
    };
    // It waits half a second for the server. Where a busy machine takes longer, it has another chance.
    let mut said = program();
    for _ in 0..4 {
        if said.contains("1 hit,") {
            break;
        }
        said = program();
    }
    let lines: Vec<_> =
        said.lines().filter(|line| line.contains('[') || line.contains("hit")).collect();
    let [first, second, third, counted] = lines[..] else { panic!("{said}") };
    assert!(first == second && first.contains("title: \"One\""), "{said}");
    assert!(third.contains("title: \"Two\""), "{said}");
    assert_eq!(counted, "1 hit, 2 misses, 1 link cut");
}

#[test]
fn the_page_shows_the_first_program() {
    let page = include_str!("../../../docs/sqlx.md");
    let shown = page.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let program = include_str!("../examples/first.rs");
    // Public for the test above only.
    let program = program.replace("pub async fn main", "async fn main");

    assert_eq!(shown, &program[program.find("use ").unwrap()..]);
}
