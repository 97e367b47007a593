//! The show must go well: it compares every answer of the cache with the database's.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn ends_well_and_found_nothing_stale() {
    let server = env::var_os("CACHEOPS_SERVER").unwrap_or("redis-server".into());

    let output = Command::new(env!("CARGO_BIN_EXE_cacheops-demo"))
        .args([module().into_os_string(), server, "--short".into()])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();

    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{failed}");
    assert!(told.contains("none was stale"), "{told}");
}

/// The module that `CACHEOPS_MODULE` names, else the newest in the target directory.
fn module() -> PathBuf {
    if let Some(named) = env::var_os("CACHEOPS_MODULE") {
        return named.into();
    }
    let target = Path::new(env!("CARGO_BIN_EXE_cacheops-demo")).ancestors().nth(2).unwrap();
    ["release", "debug"]
        .map(|profile| target.join(profile).join("libcacheops.so"))
        .into_iter()
        .filter(|module| module.exists())
        .max_by_key(|module| module.metadata().and_then(|metadata| metadata.modified()).ok())
        .expect("no libcacheops.so: run `make build`")
}
