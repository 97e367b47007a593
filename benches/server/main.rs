//! Measures the module on a running server, beside plain commands and the scripts of django-cacheops.
//!
//! `cargo run --release -p cacheops-benches --bin server -- rows` and so on; `benches/README.md` has the rest.

mod bench;
mod conditions;
mod django;
mod entries;
mod fanout;
mod growth;
mod mass;
mod memory;
mod plot;
mod report;
mod resp;
mod rows;
mod server;
mod stampede;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use serde_json::Value;

/// Whatever goes wrong ends the measurement, with a text for people.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "\
usage: server rows|growth|fanout|memory|stampede [options]
       server plot FANOUT.json OUT.svg

  --only ID[,ID]     operations of rows, by the ids in its JSON, with their rivals; no mass invalidations
  --json FILE        also writes the results to FILE
  --rounds N         rounds of each measurement
  --depth N          commands under way at a time in rows (default 64)
  --max N            most entries (growth, memory), dependents (rows, fanout) or clients (stampede)
  --lua-max N        most dependents for the Lua scripts, 0 leaves them out
  --without-module   measures the rivals alone

environment: CACHEOPS_SERVER, a server binary (default redis-server);
             CACHEOPS_MODULE, the module (default target/release/libcacheops.so)";

/// What the command line asks for; a number that is not given has a default in each measurement.
#[derive(Debug, Default)]
pub struct Options {
    json: Option<PathBuf>,
    only: Vec<String>,
    rounds: Option<u64>,
    depth: Option<u64>,
    max: Option<u64>,
    lua_max: Option<u64>,
    without_module: bool,
}

fn main() -> ExitCode {
    match run(env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> Result<()> {
    let Some((measurement, rest)) = args.split_first() else { return Err(USAGE.into()) };
    if measurement == "plot" {
        let [json, svg] = rest else { return Err(USAGE.into()) };
        let text = fs::read_to_string(json).map_err(|error| format!("{json}: {error}"))?;
        fs::write(svg, plot::fan_out(&serde_json::from_str(&text)?)?)?;
        return Ok(());
    }
    let options = Options::parse(rest)?;
    let results: Value = match measurement.as_str() {
        "rows" => rows::run(&options)?,
        "growth" => growth::run(&options)?,
        "fanout" => fanout::run(&options)?,
        "memory" => memory::run(&options)?,
        "stampede" => stampede::run(&options)?,
        _ => return Err(USAGE.into()),
    };
    if let Some(path) = &options.json {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, format!("{results:#}\n"))?;
    }
    Ok(())
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{name} needs a value"));
            let number = |text: &String| {
                text.replace('_', "")
                    .parse::<u64>()
                    .map_err(|_| format!("{name} needs a number, not {text}"))
            };
            match name.as_str() {
                "--json" => options.json = Some(value()?.into()),
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--rounds" => options.rounds = Some(number(value()?)?.max(1)),
                "--depth" => options.depth = Some(number(value()?)?.max(1)),
                "--max" => options.max = Some(number(value()?)?.max(1)),
                "--lua-max" => options.lua_max = Some(number(value()?)?),
                "--without-module" => options.without_module = true,
                _ => return Err(format!("unknown option {name}\n{USAGE}").into()),
            }
        }
        Ok(options)
    }
}
