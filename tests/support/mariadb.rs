//! A MariaDB server of one's own: a temporary directory, a unix socket in it, no port.

use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::process::{tied_to_this_thread, user};
use crate::wait::eventually;

/// A running server without a database of its own, ended when dropped.
///
/// The process also ends with the thread that started it, where the system can arrange that.
pub struct MariaDb {
    process: Child,
    dir: TempDir,
}

impl MariaDb {
    /// Starts a server and waits until it answers. It must be installed: tests that need it are not part of `make test`.
    #[track_caller]
    pub fn start() -> Self {
        let found = |name: &str| {
            let places = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
            let file = places.iter().map(|place| Path::new(place).join(name));
            file.into_iter().find(|file| file.is_file()).unwrap_or_else(|| {
                panic!("no {name}: install MariaDB (apt: mariadb-server) for these tests")
            })
        };
        let (server, install) = (found("mariadbd"), found("mariadb-install-db"));
        let dir = tempfile::Builder::new().prefix("cacheops-my-").tempdir().expect("a directory");
        // It refuses to run as root.
        let user = user("mysql");
        if let Some(user) = user {
            std::os::unix::fs::chown(dir.path(), Some(user), None).expect("a directory for it");
        }
        let run = |mut command: Command| {
            command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::null());
            if let Some(user) = user {
                command.uid(user);
            }
            let data = format!("--datadir={}", dir.path().join("data").display());
            command.arg("--no-defaults").arg(data);
            // A server that starts clears away the temporary tables of others.
            command.env("TMPDIR", dir.path());
            command
        };
        let mut init = run(Command::new(install));
        init.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        let made = init.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        let made = made.expect("mariadb-install-db runs");
        assert!(made.status.success(), "mariadb-install-db: {made:?}");
        let mut process = run(tied_to_this_thread(&server, "KILL"));
        process.args(["--skip-networking", "--skip-log-bin", "--character-set-server=utf8mb4"]);
        process.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"]);
        process.arg(format!("--socket={}", dir.path().join("socket").display()));
        process.arg(format!("--pid-file={}", dir.path().join("pid").display()));
        let mariadb = Self { process: process.spawn().expect("MariaDB runs"), dir };
        eventually("MariaDB answers", || UnixStream::connect(mariadb.socket()).is_ok());
        mariadb
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Where one of its databases is: the superuser's URL. `mysql` is there from the beginning.
    pub fn url(&self, database: &str) -> String {
        let socket = self.socket().display().to_string().replace('/', "%2F");
        format!("mysql://root@localhost/{database}?socket={socket}")
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        // Nothing in its directory is worth an orderly end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
