//! Tables that people read and paste, and the few statistics in them.

use std::fs;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::Result;
use crate::resp::Connection;

/// Median, least and greatest of some samples.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// # Panics
    ///
    /// If there is no sample.
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
            panic!("a spread of no samples");
        };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Self { median, min, max }
    }

    pub fn json(self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }
}

/// A Markdown table, its columns aligned for the terminal.
pub struct Table {
    title: String,
    lines: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const COLUMNS: usize>(title: impl Into<String>, head: [&str; COLUMNS]) -> Self {
        Self { title: title.into(), lines: vec![head.map(Into::into).to_vec()] }
    }

    pub fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        self.lines.push(cells.to_vec());
    }

    pub fn print(&self) {
        let columns = self.lines[0].len();
        let width = |column: usize| {
            self.lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        println!("\n{}\n", self.title);
        for (number, line) in self.lines.iter().enumerate() {
            let cells = line.iter().zip(&widths).map(|(cell, &width)| format!(" {cell:width$} |"));
            println!("|{}", cells.collect::<String>());
            if number == 0 {
                let rules = widths.iter().map(|&width| format!("{}|", "-".repeat(width + 2)));
                println!("|{}", rules.collect::<String>());
            }
        }
    }
}

/// Date, server, module and machine: what every result is dated with.
pub fn surroundings(con: &mut Connection) -> Result<Value> {
    let server = match con.info_field("server", "valkey_version")? {
        Some(version) => format!("Valkey {version}"),
        None => {
            let version = con.info_field("server", "redis_version")?;
            format!("Redis {}", version.unwrap_or_default())
        }
    };
    let module = con.info_field("cacheops", "cacheops_version")?.unwrap_or_else(|| "absent".into());
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, name)| name);
    let cores = available_parallelism()?.get();
    let date = today();
    println!("{date}, {server}, module {module}, {cores} cores of {cpu}");
    Ok(json!({ "date": date, "server": server, "module": module, "cpu": cpu, "cores": cores }))
}

/// Microseconds for people: three digits and the unit that fits.
pub fn microseconds(usec: f64) -> String {
    match usec {
        ..1000.0 => format!("{} us", three_digits(usec)),
        ..1_000_000.0 => format!("{} ms", three_digits(usec / 1e3)),
        _ => format!("{} s", three_digits(usec / 1e6)),
    }
}

pub fn three_digits(number: f64) -> String {
    match number.abs() {
        ..9.995 => format!("{number:.2}"),
        ..99.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// An integer in groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

/// The date in UTC, from the days since 1970 (Hinnant, *chrono-compatible low-level date algorithms*).
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}
