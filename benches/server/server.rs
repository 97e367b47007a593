//! A server of its own for each measurement: own port, own directory, no persistence, killed on drop.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use tempfile::TempDir;

use crate::Result;
use crate::resp::Connection;

/// Longest wait for a server to answer its first PING.
const START_DEADLINE: Duration = Duration::from_secs(10);

pub struct Server {
    child: Child,
    dir: TempDir,
    port: u16,
    with_module: bool,
}

impl Server {
    /// Starts `CACHEOPS_SERVER` (default `redis-server`) with `CACHEOPS_MODULE` (default: the release build).
    pub fn start(with_module: bool) -> Result<Self> {
        let binary = env::var("CACHEOPS_SERVER").unwrap_or_else(|_| "redis-server".into());
        let dir = TempDir::new()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        // Where it is allowed the server goes first: what else runs on the machine shall not be measured.
        let mut command = Command::new("nice");
        command
            .args(["-n", "-20", &binary])
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--logfile", "log"])
            .args(["--latency-tracking-info-percentiles", "100"])
            .arg("--dir")
            .arg(dir.path())
            .stdout(Stdio::null())
            .stdin(Stdio::null());
        if with_module {
            command.arg("--loadmodule").arg(module_path()?);
        }
        let child =
            command.spawn().map_err(|error| format!("cannot start nice {binary}: {error}"))?;
        let mut server = Self { child, dir, port, with_module };
        server.await_first_ping()?;
        Ok(server)
    }

    fn await_first_ping(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if self.connect().and_then(|mut con| con.call(&["PING"])).is_ok() {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                return Err(format!("the server did not start; its log:\n{log}").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.port)
    }

    pub fn has_module(&self) -> bool {
        self.with_module
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is gone already is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn module_path() -> Result<PathBuf> {
    let default = || {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
            PathBuf::from,
        );
        target.join("release/libcacheops.so")
    };
    let path = env::var_os("CACHEOPS_MODULE").map_or_else(default, PathBuf::from);
    fs::canonicalize(&path).map_err(|error| {
        let path = path.display();
        format!(
            "no module at {path} ({error}): run `cargo build --release -p cacheops-module`, \
             set CACHEOPS_MODULE, or measure the rivals alone with --without-module"
        )
        .into()
    })
}
