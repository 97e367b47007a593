//! A server of one's own: a process, a free port and a directory, all gone when dropped.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// Longer than a slow machine needs to start a server.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// Somebody may take the free port before the server does.
const ATTEMPTS: usize = 3;

pub struct Server {
    program: String,
    module: PathBuf,
    process: Option<Child>,
    dir: TempDir,
    port: u16,
}

impl Server {
    pub async fn start(program: &str, module: &Path) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new().prefix("cacheops-demo-").tempdir()?;
        let (program, module) = (program.to_owned(), module.to_owned());
        let mut server = Self { program, module, process: None, dir, port: 0 };
        for attempt in 1.. {
            server.port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match server.launch().await {
                Err(_) if attempt < ATTEMPTS => server.kill(),
                launched => return launched.map(|()| server),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Starts it on its port, for the first time or again.
    pub async fn launch(&mut self) -> Result<(), Failure> {
        let process = Command::new(&self.program)
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(self.dir.path())
            .arg("--loadmodule")
            .arg(&self.module)
            .stdin(Stdio::null())
            .stdout(File::create(self.log_file())?)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("cannot start {}: {error}\n   CACHEOPS_SERVER=/path/to/redis-server names another server", self.program)
            })?;
        let log = self.log_file();
        let process = self.process.insert(process);
        let deadline = Instant::now() + START_DEADLINE;
        // It listens before it loads the module, so a connection alone proves little.
        while !answers(self.port).await {
            let ended = process.try_wait()?.map(|status| format!("ended with {status}"));
            let late = (Instant::now() > deadline).then(|| "does not answer".to_owned());
            if let Some(what) = ended.or(late) {
                let log = fs::read_to_string(&log)?;
                let advice = advice(&log, &self.module);
                return Err(format!("\n{log}\n   {} {what}: {advice}", self.program).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Ends it at once. Nothing in it is to be kept, so it need not say goodbye.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// A directory that lives as long as the server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }
}

/// Why a server with this log does not run, and what to do.
fn advice(log: &str, module: &Path) -> String {
    let says = |texts: &[&str]| texts.iter().any(|text| log.contains(text));
    let another = "CACHEOPS_SERVER=/path/to/redis-server names another server";
    if says(&["Address already in use", "Failed listening"]) {
        "another program took its port: run it again".to_owned()
    } else if says(&["failed to load", "Can't load module", "Error loading"]) {
        let module = module.display();
        format!("it does not load {module}, as Redis 7.0 and Valkey 8.0 and later do\n   {another}")
    } else {
        format!("its log is above\n   {another}")
    }
}

async fn answers(port: u16) -> bool {
    let ping = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply).await?;
        Ok::<_, std::io::Error>(reply == *b"+PONG")
    };
    matches!(tokio::time::timeout(Duration::from_secs(1), ping).await, Ok(Ok(true)))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
