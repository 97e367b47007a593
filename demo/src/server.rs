//! A server of one's own: a process, a free port and a directory, all gone when dropped.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Failure;

/// Longer than a slow machine needs to start a server.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// Somebody may take the free port before the server does.
const ATTEMPTS: usize = 3;

pub struct Server {
    process: Child,
    dir: TempDir,
    port: u16,
}

impl Server {
    pub fn start(program: &str, module: &Path) -> Result<Self, Failure> {
        for attempt in 1.. {
            match Self::try_start(program, module) {
                Err(failure) if attempt == ATTEMPTS => return Err(failure),
                Err(_) => {}
                Ok(server) => return Ok(server),
            }
        }
        unreachable!("the last attempt returns")
    }

    fn try_start(program: &str, module: &Path) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new().prefix("cacheops-demo-").tempdir()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let log = dir.path().join("server.log");
        let process = Command::new(program)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(dir.path())
            .arg("--loadmodule")
            .arg(module)
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let mut server = Self { process, dir, port };
        server.wait_until_it_answers()?;
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// A directory that lives as long as the server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// It listens before it loads the module, so a connection alone proves little.
    fn wait_until_it_answers(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + START_DEADLINE;
        while !self.answers() {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("the server ended with {status}\n{}", self.log()?).into());
            }
            if Instant::now() > deadline {
                return Err(format!("the server does not answer\n{}", self.log()?).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn answers(&self) -> bool {
        let ping = || -> io::Result<[u8; 5]> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"PING\r\n")?;
            let mut reply = [0; 5];
            stream.read_exact(&mut reply)?;
            Ok(reply)
        };
        ping().is_ok_and(|reply| reply == *b"+PONG")
    }

    fn log(&self) -> io::Result<String> {
        fs::read_to_string(self.dir.path().join("server.log"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing in it is to be kept, so it need not say goodbye.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
