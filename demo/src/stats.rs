//! What the server counts: INFO, read.

use std::time::Duration;

use cacheops::Client;
use cacheops::redis;

use crate::Failure;

/// The fields of a section of INFO, in the server's order.
pub async fn info(cache: &Client, section: &str) -> Result<Vec<(String, String)>, Failure> {
    let text: String = redis::cmd("INFO").arg(section).query_async(&mut cache.connection()).await?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(fields.map(|(name, value)| (name.to_string(), value.trim_end().to_string())).collect())
}

/// A number among the fields of `INFO cacheops`.
pub async fn number(cache: &Client, name: &str) -> Result<u64, Failure> {
    let fields = info(cache, "cacheops").await?;
    let value = fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.parse());
    Ok(value.ok_or_else(|| format!("INFO cacheops has no {name}"))??)
}

/// The time that the server has spent in a command since it started.
pub async fn spent(cache: &Client, command: &str) -> Result<Duration, Failure> {
    let name = format!("cmdstat_{command}");
    let fields = info(cache, "commandstats").await?;
    let Some((_, stats)) = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name))
    else {
        return Ok(Duration::ZERO);
    };
    let usec = stats.split(',').find_map(|stat| stat.strip_prefix("usec="));
    Ok(Duration::from_micros(usec.ok_or("commandstats without usec")?.parse()?))
}
