//! A server process of one's own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use std::{env, thread};

use redis::{ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};
use tempfile::TempDir;

use crate::wait::{deadline, eventually, wait_until};
use crate::{Client, as_text};

const ATTEMPTS: usize = 5;
const LOG_TAIL_LINES: usize = 30;
/// What a wrapper such as valgrind exits with when it found an error.
const WRAPPER_FOUND_ERRORS: i32 = 99;

/// Directives of a server that is not started yet.
#[derive(Clone, Debug)]
pub struct Builder {
    directives: Vec<(String, String)>,
    module: Module,
}

#[derive(Clone, Debug)]
enum Module {
    Newest,
    At(PathBuf),
    Absent,
}

impl Builder {
    /// Adds a line to the server's configuration, for example `arg("appendonly", "yes")`; the last of a name counts.
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Starts as a replica of `primary`.
    pub fn replica_of(self, primary: &Server) -> Self {
        let address = format!("127.0.0.1 {}", primary.port());
        self.arg("replicaof", &address)
    }

    /// Starts without the module.
    pub fn without_module(mut self) -> Self {
        self.module = Module::Absent;
        self
    }

    /// Starts with another build of the module.
    pub fn module(mut self, path: impl Into<PathBuf>) -> Self {
        self.module = Module::At(path.into());
        self
    }

    /// Starts the server and waits until it answers and has loaded its data.
    #[track_caller]
    pub fn start(self) -> Server {
        let dir = tempfile::Builder::new()
            .prefix("cacheops-test-")
            .tempdir()
            .expect("a temporary directory");
        let mut server = Server {
            settings: self,
            dir,
            port: 0,
            bus_port: 0,
            process: None,
            may_be_gone: false,
            keeps_its_port: false,
        };
        server.launch();
        server
    }

    fn set(&mut self, name: &str, value: &str) {
        self.directives.retain(|(other, _)| other != name);
        self.directives.push((name.to_owned(), value.to_owned()));
    }
}

/// A running server, killed when dropped. A test in which it died by itself fails.
///
/// The process also dies with the thread that started it, where the system can arrange that.
pub struct Server {
    settings: Builder,
    dir: TempDir,
    port: u16,
    bus_port: u16,
    process: Option<Child>,
    may_be_gone: bool,
    keeps_its_port: bool,
}

impl Server {
    /// Starts a server with the module and nothing saved.
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The default directives, to be added to.
    pub fn builder() -> Builder {
        let directives = [
            ("bind", "127.0.0.1"),
            ("save", "\"\""),
            ("appendonly", "no"),
            ("appendfsync", "no"),
            ("enable-debug-command", "yes"),
            ("hz", "100"),
            ("dynamic-hz", "no"),
            // A full synchronisation starts at once, and no PING moves the replication offset.
            ("repl-diskless-sync-delay", "0"),
            ("repl-ping-replica-period", "3600"),
            ("repl-timeout", "7200"),
        ];
        let directives =
            directives.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Builder { directives, module: Module::Newest }
    }

    /// A connection with RESP2 to database 0.
    #[track_caller]
    pub fn connect(&self) -> Client {
        self.connect_with(ProtocolVersion::RESP2)
    }

    /// A connection with RESP3 to database 0.
    #[track_caller]
    pub fn connect_resp3(&self) -> Client {
        self.connect_with(ProtocolVersion::RESP3)
    }

    /// A connection to another database.
    #[track_caller]
    pub fn connect_to(&self, database: i64) -> Client {
        let mut client = self.connect();
        client.ok(&format!("SELECT {database}"));
        client
    }

    /// The port it listens on; [`Server::restart`] keeps it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of its cluster bus, where it was started with `cluster-enabled yes`.
    pub fn bus_port(&self) -> u16 {
        self.bus_port
    }

    /// Its working directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whether the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        fs::read(self.dir().join("log"))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// Kills it without a chance to save.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Stops it in mid-air: it keeps its connections and answers nobody, until [`Server::thaw`].
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`Server::freeze`].
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("the server runs");
        let sent = Command::new("kill").args([signal, &process.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Ends it in order. It writes what it has to the append-only file, but takes no snapshot.
    pub fn shut_down(&mut self) {
        self.end("SHUTDOWN NOSAVE FORCE");
    }

    /// Ends it in order with a snapshot, which also keeps its place in the replication stream.
    pub fn shut_down_saving(&mut self) {
        self.end("SHUTDOWN SAVE NOW");
    }

    fn end(&mut self, command: &str) {
        if self.is_alive() {
            // Succeeds by closing the connection.
            let _ = self.connect().run(command);
        }
        let ended = wait_until(deadline(), || !self.is_alive());
        if let Some(status) = self.reap() {
            self.check(status);
        }
        assert!(ended, "the server does not shut down\n{}", self.log_tail());
    }

    /// Ends it in order and starts it again, with the same directory, port and directives.
    #[track_caller]
    pub fn restart(&mut self) {
        self.shut_down();
        self.relaunch();
    }

    /// Starts it again after [`Server::kill`] or [`Server::shut_down`].
    #[track_caller]
    pub fn relaunch(&mut self) {
        self.keeps_its_port = true;
        self.launch();
    }

    /// Changes a directive for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.set(name, value);
    }

    /// Waits until this replica is attached and has applied all that `primary` has sent.
    #[track_caller]
    pub fn catch_up_with(&self, primary: &Server) {
        let mut here = self.connect();
        let mut there = primary.connect();
        eventually("the replica has caught up", || {
            here.info_field("master_link_status").as_deref() == Some("up")
                && here.info("slave_repl_offset") == there.info("master_repl_offset")
        });
    }

    /// Accepts that the process ends by itself, where a test makes it do so.
    pub fn may_end(&mut self) {
        self.may_be_gone = true;
    }

    #[track_caller]
    fn launch(&mut self) {
        for _ in 0..ATTEMPTS {
            if !self.keeps_its_port {
                self.port = free_port();
                self.bus_port = free_port();
            }
            self.spawn();
            if self.waits_for_clients() {
                return;
            }
            self.kill();
            if !self.log().contains("Address already in use") {
                break;
            }
        }
        self.may_be_gone = true;
        panic!("the server did not start\n{}", self.log_tail());
    }

    fn spawn(&mut self) {
        let config = self.dir().join("server.conf");
        fs::write(&config, self.config()).expect("the configuration is written");
        let log = File::create(self.dir().join("log")).expect("a log file");
        let words = command_line();
        let process = Command::new(&words[0])
            .args(&words[1..])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("one more handle of the log"))
            .stderr(log)
            .spawn();
        match process {
            Ok(process) => self.process = Some(process),
            Err(error) => panic!(
                "{}: {error}: run `make deps`, or set CACHEOPS_SERVER to a server binary",
                words[0]
            ),
        }
    }

    fn config(&self) -> String {
        let mut config = format!("port {}\ndir {}\n", self.port, self.dir().display());
        for (name, value) in &self.settings.directives {
            // The server's own port plus 10000 may not exist.
            if name == "cluster-enabled" && value == "yes" {
                config += &format!("cluster-port {}\n", self.bus_port);
            }
            config += &format!("{name} {value}\n");
        }
        let module = match &self.settings.module {
            Module::Newest => module_path(),
            Module::At(path) => path.clone(),
            Module::Absent => return config,
        };
        config + &format!("loadmodule {}\n", module.display())
    }

    /// True once it answers and has loaded its data, false once it ended or hangs.
    fn waits_for_clients(&mut self) -> bool {
        let mut ready = false;
        // Another process may have taken the port, and answer.
        let own = format!("process_id:{}\r\n", self.process.as_ref().map_or(0, Child::id));
        wait_until(deadline(), || {
            ready = self.try_connect(ProtocolVersion::RESP2).is_ok_and(|mut client| {
                client.run("INFO").is_ok_and(|info| {
                    let info = as_text(&info);
                    info.contains("\nloading:0") && info.contains(&own)
                })
            });
            ready || !self.is_alive()
        });
        ready && self.is_alive()
    }

    #[track_caller]
    fn connect_with(&self, protocol: ProtocolVersion) -> Client {
        match self.try_connect(protocol) {
            Ok(client) => client,
            Err(error) => panic!("no connection: {error}\n{}", self.log_tail()),
        }
    }

    fn try_connect(&self, protocol: ProtocolVersion) -> Result<Client, redis::RedisError> {
        let settings =
            RedisConnectionInfo::default().set_protocol(protocol).set_skip_set_lib_name();
        let info = ConnectionAddr::Tcp("127.0.0.1".to_owned(), self.port).into_connection_info()?;
        let connection =
            redis::Client::open(info.set_redis_settings(settings))?.get_connection()?;
        connection.set_read_timeout(Some(deadline() * 2))?;
        let name = if self.settings.directives.iter().any(|(name, _)| name == "replicaof") {
            "replica"
        } else {
            "server"
        };
        Ok(Client::new(connection, name))
    }

    fn reap(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().ok().flatten()?;
        self.process = None;
        Some(status)
    }

    fn check(&self, status: ExitStatus) {
        let log = self.log();
        let failed =
            status.code() == Some(WRAPPER_FOUND_ERRORS) || log.contains("BUG REPORT START");
        assert!(!failed, "the server ended with {status}\n{log}");
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let died = self.process.is_some() && !self.is_alive();
        if thread::panicking() {
            eprintln!("--- log of the server on port {}\n{}", self.port, self.log_tail());
        } else if died && !self.may_be_gone {
            panic!("the server died\n{}", self.log());
        } else if env::var_os("CACHEOPS_WRAPPER").is_some() && self.is_alive() {
            self.shut_down();
        }
        self.kill();
    }
}

/// A port that nobody uses, and that nobody in this process is given again: until a server listens on it, and while one
/// is down that will come back, it is free for all.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}

/// The wrapper, if any, and the server. The process ends with the test where `setpriv` exists.
fn command_line() -> Vec<String> {
    let mut words = Vec::new();
    if ["/usr/bin/setpriv", "/bin/setpriv"].iter().any(|path| Path::new(path).exists()) {
        words.extend(["setpriv", "--pdeathsig", "KILL"].map(str::to_owned));
    }
    if let Ok(wrapper) = env::var("CACHEOPS_WRAPPER") {
        words.extend(wrapper.split_whitespace().map(str::to_owned));
    }
    let server = env::var("CACHEOPS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    assert!(
        is_program(&server),
        "no server binary {server}: run `make deps`, or set CACHEOPS_SERVER"
    );
    words.push(server);
    words
}

fn is_program(name: &str) -> bool {
    if name.contains('/') {
        return Path::new(name).is_file();
    }
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// The module under test: `CACHEOPS_MODULE`, or the newest one that cargo has built.
pub fn module_path() -> PathBuf {
    if let Some(path) = env::var_os("CACHEOPS_MODULE") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "CACHEOPS_MODULE is no file: {}", path.display());
        return fs::canonicalize(path).expect("an absolute path");
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let built = ["release", "debug"].map(|profile| target.join(profile).join("libcacheops.so"));
    let newest = built.into_iter().filter(|path| path.is_file()).max_by_key(|path| modified(path));
    match newest {
        Some(path) => fs::canonicalize(path).expect("an absolute path"),
        None => panic!(
            "no libcacheops.so in {}: run `make build`, or set CACHEOPS_MODULE",
            target.display()
        ),
    }
}

fn modified(path: &Path) -> SystemTime {
    path.metadata().and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}
