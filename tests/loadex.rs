//! MODULE LOADEX, LOAD and UNLOAD on a running server: what is wrong is refused as a whole, and the server goes on.

use support::{Client, Server, as_text, module_path};

#[test]
fn a_directive_that_does_not_exist_is_refused_and_the_server_goes_on_without_the_module() {
    for wrong in [
        "CONFIG cacheops.typo 1",
        "CONFIG cacheops.max-terms 3 CONFIG cacheops.typo 1",
        "CONFIG cacheops.typo 1 CONFIG cacheops.on-restore keep",
        "CONFIG max-terms 3",
        "CONFIG other.max-terms 3",
    ] {
        check_refusal(wrong);
    }
}

#[test]
fn a_value_out_of_bounds_is_refused_and_the_server_goes_on_without_the_module() {
    for wrong in [
        "CONFIG cacheops.max-terms many",
        "CONFIG cacheops.max-terms 100000",
        "CONFIG cacheops.on-restore maybe",
        "CONFIG cacheops.max-terms 3 CONFIG cacheops.on-restore maybe",
    ] {
        check_refusal(wrong);
    }
}

#[test]
fn arguments_are_refused_and_the_server_goes_on_without_the_module() {
    check_refusal("ARGS cacheops.max-terms 3");
    check_refusal("CONFIG cacheops.max-terms 3 ARGS 3");
}

#[test]
fn directives_of_loadex_are_applied() {
    let server = without_module();
    let mut con = server.connect();

    loadex(&mut con, "CONFIG cacheops.max-terms 3 CONFIG cacheops.on-restore keep")
        .expect("loaded");

    let settings = con.map("CONFIG GET cacheops.*");
    assert_eq!(as_text(&settings["cacheops.max-terms"]), "3");
    assert_eq!(as_text(&settings["cacheops.on-restore"]), "keep");
    assert_eq!(modules(&mut con), ["cacheops"]);
    con.store("q", "post author=7");
    assert_eq!(con.invalidate("post author=7"), 1);
    assert!(!con.hits("q"));
    con.wait_for_empty_index();
}

#[test]
fn the_module_is_not_unloaded_and_keeps_its_entries() {
    let server = Server::builder().arg("enable-module-command", "yes").start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    let error = con.error("MODULE UNLOAD cacheops");

    assert!(error.contains("unload"), "{error}");
    assert_eq!(modules(&mut con), ["cacheops"]);
    assert!(con.hits("q"));
    con.error(&format!("MODULE LOAD {}", module_path().display()));
    assert!(con.hits("q"));
    assert_eq!(con.invalidate("post author=7"), 1);
}

fn check_refusal(arguments: &str) {
    let mut server = without_module();
    let mut con = server.connect();
    con.ok("SET plain value");

    assert!(loadex(&mut con, arguments).is_err(), "{arguments}: loaded");

    assert!(server.is_alive(), "{arguments}: {}", server.log());
    assert_eq!(con.text("GET plain").as_deref(), Some("value"), "{arguments}");
    assert_eq!(modules(&mut con), [""; 0], "{arguments}");
    con.error("CACHEOPS.VERSION");
    assert!(con.map("CONFIG GET cacheops.*").is_empty(), "{arguments}");

    // Nothing of it is left, for the next try neither.
    loadex(&mut con, "").expect("loaded");
    let settings = con.map("CONFIG GET cacheops.*");
    assert_eq!(as_text(&settings["cacheops.max-terms"]), "16", "{arguments}");
    assert_eq!(as_text(&settings["cacheops.on-restore"]), "discard", "{arguments}");
    con.store("q", "post author=7");
    assert_eq!(con.invalidate("post author=7"), 1);
    con.wait_for_empty_index();
}

fn without_module() -> Server {
    Server::builder().without_module().arg("enable-module-command", "yes").start()
}

fn loadex(con: &mut Client, arguments: &str) -> support::Reply {
    con.run(&format!("MODULE LOADEX {} {arguments}", module_path().display()))
}

/// Modules of this project. Servers bring some of their own.
fn modules(con: &mut Client) -> Vec<String> {
    let modules = con.list("MODULE LIST");
    let mut names: Vec<String> =
        modules.iter().map(|module| as_text(&support::as_map(module)["name"])).collect();
    names.retain(|name| name.starts_with("cacheops"));
    names
}
