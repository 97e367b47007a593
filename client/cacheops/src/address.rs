//! Addresses of servers: URLs, their names in errors and logs, and how long a connection may take.

use std::time::Duration;

use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::{Error, ErrorKind};

/// How long connecting and a response may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) response: Duration,
}

impl Timeouts {
    /// For connecting, logging in and the handshake together.
    pub(crate) fn all(self) -> Duration {
        self.connect.saturating_add(self.response.saturating_mul(2))
    }

    pub(crate) fn config(self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect))
            .set_response_timeout(Some(self.response))
    }
}

/// Reads a URL. The error names it, without what is secret, and the form that is expected.
pub(crate) fn read_url(url: &str) -> Result<ConnectionInfo, Error> {
    url.into_connection_info().map_err(|error| unusable(url, &error))
}

pub(crate) fn unusable(url: &str, error: &redis::RedisError) -> Error {
    let mut reason = error.to_string();
    // Behind a dash stands the kind, which says nothing new.
    if let Some((text, _)) = reason.rsplit_once(" - ") {
        reason.truncate(text.len());
    }
    let url = redacted(url);
    Error::new(
        ErrorKind::InvalidConfig,
        format!("the URL '{url}' cannot be used: {reason}; {EXPECTED_URL}"),
    )
}

pub(crate) const EXPECTED_URL: &str = "expected redis://user:password@host:port/database, rediss:// with \
    the feature `rustls`, or unix:///path?db=database";

/// The server of a connection, as a URL without user and password.
pub(crate) fn name_of(info: &ConnectionInfo) -> String {
    let database = info.redis_settings().db();
    match info.addr() {
        ConnectionAddr::Unix(path) => format!("unix://{}?db={database}", path.display()),
        ConnectionAddr::TcpTls { .. } => format!("rediss://{}/{database}", info.addr()),
        _ => format!("redis://{}/{database}", info.addr()),
    }
}

/// A URL that may not even be one, without what could be user, password or parameters.
pub(crate) fn redacted(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let (user, rest) = match rest.rsplit_once('@') {
        // It may belong to either.
        Some((user, _)) if user.contains('?') => return format!("{scheme}***"),
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    match rest.split_once('?') {
        Some((address, _)) => format!("{scheme}{user}{address}?***"),
        None => format!("{scheme}{user}{rest}"),
    }
}

/// rustls panics where nobody has chosen who does its cryptography, and several could.
#[cfg(feature = "rustls")]
pub(crate) fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Should somebody have chosen in this moment, theirs it is.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_named_without_what_is_secret() {
        for (url, named) in [
            ("redis://localhost:port/", "redis://localhost:port/"),
            ("redis://user:secret@localhost:port/1", "redis://***@localhost:port/1"),
            ("redis://:s@cret@host/", "redis://***@host/"),
            ("redis://user:sec?ret@host/", "redis://***"),
            ("unix:///run/s?db=1&pass=secret", "unix:///run/s?***"),
            ("unix:///run/s?db=1&pass=sec@ret", "unix://***"),
            ("user:secret@host:6379", "***@host:6379"),
            ("localhost:6379", "localhost:6379"),
            ("", ""),
        ] {
            assert_eq!(redacted(url), named);
            assert!(!read_url(url).is_err_and(|error| error.to_string().contains("cret")), "{url}");
        }
    }

    #[test]
    fn an_unreadable_url_is_named_with_the_form_that_is_expected() {
        for url in ["", "localhost:6379", "http://host/", "redis://host:port/", "redis://host/db"] {
            let error = read_url(url).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url}");
            let text = error.to_string();
            assert!(text.contains(&format!("'{url}'")), "{text}");
            assert!(text.contains("redis://user:password@host:port/database"), "{text}");
        }
    }
}
