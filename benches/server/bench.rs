//! What the contestants of a benchmark run on.

use crate::Result;
use crate::django::Scripts;
use crate::resp::Connection;
use crate::server::Server;

/// Logical database of the scripts' keys: the rest of the server is the same.
const LUA_DB: &str = "1";

/// What a contestant runs on.
pub struct Bench {
    pub con: Connection,
    pub lua: Option<Lua>,
    pub value: String,
}

/// The scripts and a connection that has selected their database.
pub struct Lua {
    con: Connection,
    scripts: Scripts,
}

impl Bench {
    pub fn set_depth(&mut self, depth: u64) {
        self.con.depth = depth;
        if let Some(lua) = &mut self.lua {
            lua.con.depth = depth;
        }
    }
}

impl Lua {
    /// None, with a line that says why, where the scripts cannot be had.
    pub fn load(server: &Server) -> Option<Self> {
        let attempt = || -> Result<Self> {
            let mut con = server.connect()?;
            con.call(&["SELECT", LUA_DB])?;
            let scripts = Scripts::load(&mut con)?;
            Ok(Self { con, scripts })
        };
        attempt()
            .inspect_err(|error| println!("the rows of the Lua scripts are left out: {error}"))
            .ok()
    }
}

/// The row whose 20 schemes exist: six fields, alone and in pairs.
pub fn verdict(measured: f64, goal: Option<f64>) -> String {
    let word = |goal| if measured <= goal { "met" } else { "missed" };
    goal.map_or("", word).into()
}

pub fn lua_of(bench: &mut Bench) -> Result<(&mut Connection, &Scripts, &str)> {
    let Lua { con, scripts } = bench.lua.as_mut().ok_or("no scripts")?;
    Ok((con, scripts, &bench.value))
}
