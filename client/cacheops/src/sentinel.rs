//! A primary that sentinels name.

use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{ConnectionAddr, RedisError, TlsMode};
use tokio::sync::Mutex;

use crate::address::{read_url, redacted};
use crate::{Error, ErrorKind};

/// The sentinels. Asked anew for each connection: after a failover they name another primary.
pub(crate) struct Sentinels {
    client: Mutex<SentinelClient>,
    /// What errors call the primary.
    name: String,
}

impl Sentinels {
    pub(crate) fn new(sentinels: Vec<String>, name: String, url: &str) -> Result<Self, Error> {
        #[cfg(feature = "rustls")]
        crate::address::choose_cryptography();
        let invalid = |error: RedisError| {
            Error::new(ErrorKind::InvalidConfig, format!("the sentinels cannot be used: {error}"))
        };
        let addresses = sentinels
            .iter()
            .map(|sentinel| Ok(read_url(sentinel)?.addr().clone()))
            .collect::<Result<Vec<ConnectionAddr>, Error>>()?;
        let primary = read_url(url)?;
        let of: Vec<_> = sentinels.iter().map(|sentinel| redacted(sentinel)).collect();
        let called = format!("the primary '{name}' of the sentinels {}", of.join(", "));
        let settings = primary.redis_settings();
        let mut builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)
            .map_err(invalid)?
            .set_client_to_redis_db(settings.db())
            .set_client_to_redis_protocol(settings.protocol());
        if let Some(user) = settings.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = settings.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let ConnectionAddr::TcpTls { insecure, .. } = primary.addr() {
            let mode = if *insecure { TlsMode::Insecure } else { TlsMode::Secure };
            builder = builder.set_client_to_redis_tls_mode(mode);
        }
        Ok(Self { client: Mutex::new(builder.build().map_err(invalid)?), name: called })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The primary of now.
    pub(crate) async fn primary(&self) -> Result<redis::Client, Error> {
        Ok(self.client.lock().await.async_get_client().await?)
    }
}

impl std::fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sentinels")
    }
}
