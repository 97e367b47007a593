//! What is printed, and how.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// The printed page: plain text, with colours only where a person sees them.
pub struct Page {
    colours: bool,
    chapters: usize,
}

impl Page {
    pub fn new() -> Self {
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colours: io::stdout().is_terminal() && !no_color, chapters: 0 }
    }

    pub fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        self.blank();
        let number = format!("{:>2}", self.chapters);
        line(&format!("{} {}", self.dim(&number), self.bold(title)));
    }

    pub fn say(&self, text: &str) {
        line(&format!("   {text}"));
    }

    pub fn note(&self, text: &str) {
        self.say(&self.dim(text));
    }

    pub fn blank(&self) {
        line("");
    }

    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    pub fn bad(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// A reader that has seen enough (`| head`) is no reason to stop checking.
fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// `1234567` as `1,234,567`.
pub fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A duration in the unit that suits it.
pub fn time(duration: Duration) -> String {
    let us = duration.as_secs_f64() * 1e6;
    match us {
        ..100.0 => format!("{us:.1} us"),
        ..1_000.0 => format!("{us:.0} us"),
        ..100_000.0 => format!("{:.1} ms", us / 1e3),
        ..1_000_000.0 => format!("{:.0} ms", us / 1e3),
        _ => format!("{:.1} s", us / 1e6),
    }
}
