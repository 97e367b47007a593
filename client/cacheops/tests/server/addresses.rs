//! The ways to a server: a socket file, TLS, sentinels.

use std::convert::Infallible;

use cacheops::Cacheops;
use support::Server;

use crate::{author, builder_for, posts_of};

async fn works(cacheops: &Cacheops) {
    for expected in [1, 1] {
        let load = || async { Ok::<_, Infallible>(expected) };
        let read = cacheops.get_or_load("k", ("post", author(7)), None, load).await;
        assert_eq!(read.unwrap(), 1);
    }
    cacheops.invalidate(posts_of(7)).await.unwrap();
    let stats = cacheops.stats();
    assert_eq!((stats.hits, stats.stores, stats.links_cut), (1, 1, 1));
}

#[tokio::test]
async fn a_socket_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let server = Server::builder().arg("unixsocket", path.to_str().unwrap()).start();

    let url = format!("unix://{}?db=2", path.display());
    works(&builder_for(url).build().await.unwrap()).await;

    assert_eq!(server.connect_to(2).calls_of("cacheops.store"), 1);
}

#[cfg(feature = "rustls")]
const CERTIFICATE: &str = "[req]\ndistinguished_name=dn\nx509_extensions=v3\nprompt=no\n[dn]\nCN=test\n\
    [v3]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";

/// Makes a certificate for 127.0.0.1 that signs itself; false if there is no `openssl`.
#[cfg(feature = "rustls")]
fn certify(dir: &std::path::Path) -> bool {
    std::fs::write(dir.join("config"), CERTIFICATE).unwrap();
    let made = std::process::Command::new("openssl")
        .current_dir(dir)
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(' '),
        )
        .args("-config config -keyout key -out cert".split(' '))
        .output();
    made.is_ok_and(|output| output.status.success())
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn tls() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start();
    let port = support::free_port();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (cert, key) = (file("cert"), file("key"));
    let set = format!(
        "CONFIG SET tls-port {port} tls-cert-file {cert} tls-key-file {key} tls-ca-cert-file {cert} tls-auth-clients no"
    );
    // The Valkey of the tests is built without TLS, and ends by an assertion when it is told to.
    let is_valkey = server.connect().info_field("server_name").is_some_and(|name| name == "valkey");
    if is_valkey || !certify(dir.path()) || server.connect().run(&set).is_err() {
        eprintln!("left out: no openssl, or a server without TLS");
        return;
    }
    let url = format!("rediss://127.0.0.1:{port}/");

    // Nobody whom the system knows has signed it.
    assert!(Cacheops::builder(&url).strict(true).build().await.is_err());

    // What is trusted is read once in a process, from the environment.
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["addresses::tls_with_a_certificate_that_is_trusted", "--exact", "--ignored"])
        .envs([("SSL_CERT_FILE", &cert), ("CACHEOPS_TEST_URL", &url)])
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert_eq!(server.connect().calls_of("cacheops.store"), 1);
}

#[cfg(feature = "rustls")]
#[tokio::test]
#[ignore = "run by the test `tls`, in a process of its own"]
async fn tls_with_a_certificate_that_is_trusted() {
    let url = std::env::var("CACHEOPS_TEST_URL").unwrap();
    works(&builder_for(url).build().await.unwrap()).await;
}

#[cfg(feature = "sentinel")]
mod sentinel {
    use std::process::{Child, Command, Stdio};

    use cacheops::{Builder, Invalidated};
    use redis::Value;
    use support::{deadline, eventually, wait_until};

    use super::*;

    /// A sentinel that watches one primary, ended when dropped.
    struct Sentinel {
        process: Child,
        port: u16,
        _dir: tempfile::TempDir,
    }

    impl Sentinel {
        fn start(primary: &Server) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let port = support::free_port();
            let config = dir.path().join("sentinel.conf");
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\n\
                 sentinel monitor shop 127.0.0.1 {} 1\n\
                 sentinel down-after-milliseconds shop 600000\n\
                 sentinel failover-timeout shop 600000\n",
                dir.path().display(),
                primary.port()
            );
            std::fs::write(&config, text).unwrap();
            let program = std::env::var("CACHEOPS_SERVER").unwrap_or("redis-server".to_owned());
            let process = Command::new(program)
                .arg(&config)
                .arg("--sentinel")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let sentinel = Self { process, port, _dir: dir };
            eventually("the sentinel answers", || sentinel.ask(&["PING"]).is_some());
            sentinel
        }

        fn url(&self) -> String {
            format!("redis://127.0.0.1:{}/", self.port)
        }

        fn ask(&self, words: &[&str]) -> Option<Value> {
            let mut connection = redis::Client::open(self.url()).ok()?.get_connection().ok()?;
            let mut command = redis::Cmd::new();
            command.arg(words);
            command.query(&mut connection).ok()
        }
    }

    impl Drop for Sentinel {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    #[tokio::test]
    async fn after_a_failover_the_new_primary_is_told_before_a_hit_is_trusted() {
        let primary = Server::start();
        let replica = Server::builder().replica_of(&primary).start();
        replica.catch_up_with(&primary);
        let sentinel = Sentinel::start(&primary);
        let url = "redis://-/";
        let cacheops = Builder::sentinel([sentinel.url()], "shop", url)
            .response_timeout(deadline())
            .connect_timeout(deadline())
            .build()
            .await
            .unwrap();
        works(&cacheops).await;
        eventually("the sentinel knows the replica", || {
            let replicas = sentinel.ask(&["SENTINEL", "REPLICAS", "shop"]);
            matches!(replicas, Some(Value::Array(replicas)) if replicas.len() == 1)
        });

        eventually("the failover begins", || {
            sentinel.ask(&["SENTINEL", "FAILOVER", "shop"]).is_some()
        });
        // A sentinel closes the connections of a server whose role it changes.
        let role = |server: &Server| server.connect().run("ROLE").map(|role| format!("{role:?}"));
        // The old primary is told after ten seconds. A sentinel that was held up does nothing for half a minute.
        let patience = 4 * deadline();
        assert!(wait_until(patience, || role(&replica).is_ok_and(|role| role.contains("master"))));
        assert!(wait_until(patience, || role(&primary).is_ok_and(|role| role.contains("slave"))));
        let mut new = replica.connect();

        // The connection still leads to the old one, which refuses.
        let told = cacheops.invalidate(posts_of(7)).await.unwrap();
        assert!(matches!(told, Invalidated::Queued | Invalidated::Confirmed(_)), "{told:?}");
        cacheops.settled().await;
        assert!(new.calls_of("cacheops.invalidate") >= 1);
        let load = || async { Ok::<_, Infallible>(2) };
        assert_eq!(cacheops.get_or_load("k", ("post", author(7)), None, load).await, Ok(2));
        assert_eq!(cacheops.stats().stores, 2);
    }
}
