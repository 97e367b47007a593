//! A PostgreSQL server of one's own: a temporary directory, a unix socket in it, no port.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::process::{tied_to_this_thread, user};
use crate::wait::eventually;

/// A running server with an empty database `postgres`, ended when dropped.
///
/// The process also ends with the thread that started it, where the system can arrange that.
pub struct Postgres {
    process: Child,
    dir: TempDir,
}

impl Postgres {
    /// Starts a server and waits until it answers. None, said aloud, where it is not installed; with
    /// `CACHEOPS_REQUIRE_POSTGRES` in the environment that is a failure.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let Some(binaries) = binaries() else {
            let required = std::env::var_os("CACHEOPS_REQUIRE_POSTGRES").is_some();
            assert!(!required, "no PostgreSQL (apt: postgresql)");
            eprintln!("SKIPPED: no PostgreSQL (apt: postgresql)");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("cacheops-pg-").tempdir().expect("a directory");
        let data = dir.path().join("data");
        // It refuses to run as root.
        let user = user("postgres");
        if let Some(user) = user {
            std::os::unix::fs::chown(dir.path(), Some(user), None).expect("a directory for it");
        }
        let run = |mut command: Command| {
            command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::null());
            if let Some(user) = user {
                command.uid(user);
            }
            command
        };
        let mut init = run(Command::new(binaries.join("initdb")));
        init.args(["-A", "trust", "-U", "postgres", "-N", "--no-locale", "-E", "UTF8", "-D"]);
        assert!(init.arg(&data).status().is_ok_and(|status| status.success()), "initdb failed");
        let mut server = run(tied_to_this_thread(&binaries.join("postgres"), "INT"));
        server.arg("-D").arg(&data).arg("-k").arg(dir.path());
        server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60"]);
        let postgres = Self { process: server.spawn().expect("PostgreSQL runs"), dir };
        eventually("PostgreSQL answers", || {
            let mut ready = Command::new(binaries.join("pg_isready"));
            ready.arg("-q").arg("-h").arg(postgres.dir());
            ready.status().is_ok_and(|status| status.success())
        });
        Some(postgres)
    }

    /// Its working directory, which holds the socket.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where it is: the superuser's URL of its database.
    pub fn url(&self) -> String {
        let socket = self.dir().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.process.wait();
    }
}

/// Where the newest installed version of Debian's and Ubuntu's packages is, or else the one of the PATH.
fn binaries() -> Option<PathBuf> {
    let complete = |path: &PathBuf| {
        ["initdb", "postgres", "pg_isready"].iter().all(|name| path.join(name).is_file())
    };
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let packaged = versions
        .map(|entry| entry.path().join("bin"))
        .filter(complete)
        .max_by_key(|path| version(path));
    packaged.or_else(|| env::split_paths(&env::var_os("PATH")?).find(complete))
}

/// That of `/usr/lib/postgresql/15/bin`; 9.6 is before 15.
fn version(binaries: &Path) -> Vec<u32> {
    let name = binaries.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.unwrap_or_default().split('.').map(|part| part.parse().unwrap_or(0)).collect()
}
