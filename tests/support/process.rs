//! Processes that tests start: as whom, and for how long.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// A command whose process gets a signal when the thread that starts it ends, where `setpriv` exists.
pub(crate) fn tied_to_this_thread(program: &Path, signal: &str) -> Command {
    if !["/usr/bin/setpriv", "/bin/setpriv"].iter().any(|path| Path::new(path).exists()) {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal]).arg(program);
    command
}

/// The number of a user to run a server as, for servers that refuse to run as root. None for anybody but root.
pub(crate) fn user(name: &str) -> Option<u32> {
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}
