//! The Lua scripts of django-cacheops, taken from its source package on PyPI when the benchmark runs.
//!
//! Their callers in Python are imitated here: which keys and arguments a script gets, and in which encoding.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};
use tar::Archive;

use crate::Result;
use crate::conditions::{Condition, Fields};
use crate::resp::Connection;

pub const VERSION: &str = "7.2";

/// Time to live of what the scripts store, the benchmark's `PX` in seconds.
const TIMEOUT_SECONDS: &str = "3600";

/// Stands for the random number that the client passes for new stamps.
const NEW_STAMP: &str = "0.8444218515250481";

/// The digests of the loaded scripts.
pub struct Scripts {
    store: String,
    store_insideout: String,
    invalidate: String,
    invalidate_insideout: String,
}

impl Scripts {
    /// Downloads the package unless it is cached, and loads the scripts into the server.
    ///
    /// # Errors
    ///
    /// No pip, no network, or a server without Lua: the caller leaves these rows out.
    pub fn load(con: &mut Connection) -> Result<Self> {
        let package = download()?;
        let redis_7 = con
            .info_field("server", "redis_version")?
            .and_then(|version| Some(version.split('.').next()?.parse::<u32>().ok()? >= 7));
        let mut load = |name: &str| -> Result<String> {
            let code = read_script(&package, name)?;
            let other = if redis_7 == Some(true) { "REDIS_4" } else { "REDIS_7" };
            let code = without_sections(&code, other);
            Ok(con.call(&["SCRIPT", "LOAD", &code])?.text())
        };
        Ok(Self {
            store: load("cache_thing")?,
            store_insideout: load("cache_thing_insideout")?,
            invalidate: load("invalidate")?,
            invalidate_insideout: load("invalidate_insideout")?,
        })
    }

    pub fn push_store(&self, con: &mut Connection, key: &str, value: &str, on: &Condition) {
        let dnfs = dnfs(on).to_string();
        con.push(&["EVALSHA", &self.store, "3", "", key, "", value, &dnfs, TIMEOUT_SECONDS]);
    }

    pub fn push_store_insideout(
        &self,
        con: &mut Connection,
        key: &str,
        value: &str,
        on: &Condition,
    ) {
        let (schemes, conjs) = (schemes(on).to_string(), json!(conj_keys(on)).to_string());
        let script = &self.store_insideout;
        con.push(&[
            "EVALSHA",
            script,
            "2",
            "",
            key,
            value,
            &schemes,
            &conjs,
            TIMEOUT_SECONDS,
            NEW_STAMP,
            "",
        ]);
    }

    pub fn push_invalidate(&self, con: &mut Connection, table: &str, row: &Fields) {
        let row: Map<_, _> =
            row.iter().map(|(field, value)| (field.to_string(), json!(value))).collect();
        let row = Value::Object(row).to_string();
        con.push(&["EVALSHA", &self.invalidate, "1", "", table, &row]);
    }

    pub fn push_invalidate_insideout(&self, con: &mut Connection, table: &str, row: &Fields) {
        let row = row.iter().map(|(field, value)| (field.to_string(), json!(value.to_string())));
        let row = Value::Object(row.collect()).to_string();
        con.push(&["EVALSHA", &self.invalidate_insideout, "1", "", table, &row]);
    }
}

/// The keys of conjunctions, as the insideout client computes them.
pub fn conj_keys(on: &Condition) -> Vec<String> {
    let key = |table: &str, conjunction: &Fields| {
        let mut terms: Vec<_> =
            conjunction.iter().map(|(field, value)| format!("{field}={value}")).collect();
        terms.sort();
        format!("conj:{table}:{}", terms.join("&"))
    };
    on.iter().flat_map(|(table, dnf)| dnf.iter().map(move |conj| key(table, conj))).collect()
}

fn dnfs(on: &Condition) -> Value {
    let conj = |terms: &Fields| -> Map<String, Value> {
        terms.iter().map(|(field, value)| (field.to_string(), json!(value))).collect()
    };
    let tables = on
        .iter()
        .map(|(table, dnf)| (table.to_string(), json!(dnf.iter().map(conj).collect::<Vec<_>>())));
    Value::Object(tables.collect())
}

fn schemes(on: &Condition) -> Value {
    let scheme = |terms: &Fields| {
        let mut fields: Vec<_> = terms.iter().map(|(field, _)| *field).collect();
        fields.sort_unstable();
        fields.join(",")
    };
    let tables = on.iter().map(|(table, dnf)| {
        let mut schemes: Vec<_> = dnf.iter().map(scheme).collect();
        schemes.sort();
        schemes.dedup();
        (table.to_string(), json!(schemes))
    });
    Value::Object(tables.collect())
}

/// Removes what stands between `marker` and `/marker`, as the package's loader does.
fn without_sections(code: &str, marker: &str) -> String {
    let end = format!("/{marker}");
    let (mut kept, mut rest) = (String::new(), code);
    while let Some(start) = rest.find(marker) {
        let Some(length) = rest[start..].find(&end) else { break };
        kept.push_str(&rest[..start]);
        rest = &rest[start + length + end.len()..];
    }
    kept + rest
}

fn read_script(package: &Path, name: &str) -> Result<String> {
    let wanted = format!("cacheops/lua/{name}.lua");
    let mut archive = Archive::new(GzDecoder::new(File::open(package)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.ends_with(&wanted) {
            let mut code = String::new();
            entry.read_to_string(&mut code)?;
            return Ok(code);
        }
    }
    Err(format!("{} holds no {wanted}", package.display()).into())
}

fn download() -> Result<PathBuf> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/pypi");
    let package = cache.join(format!("django_cacheops-{VERSION}.tar.gz"));
    if package.exists() {
        return Ok(package);
    }
    fs::create_dir_all(&cache)?;
    let output = Command::new("pip")
        .args(["download", "--quiet", "--no-deps", "--no-binary", ":all:"])
        .arg(format!("django-cacheops=={VERSION}"))
        .arg("--dest")
        .arg(&cache)
        .output()
        .map_err(|error| format!("cannot run pip: {error}"))?;
    if package.exists() {
        return Ok(package);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = complaint.lines().last().unwrap_or("no source package came");
    Err(format!("pip cannot download django-cacheops {VERSION}: {complaint}").into())
}
