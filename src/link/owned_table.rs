//! A table of nftables that lasts as long as we do.
//!
//! A table with `flags owner` belongs to the socket that made it: the kernel removes it when that socket
//! closes, however its process ended. The socket is that of a child (`nft -i`), which keeps CAP_NET_ADMIN and
//! nothing else and ends when its standard input does: so also after our kill -9. (nft 1.0.6, Linux 6.18: seen in
//! `tests/collector.rs`.)

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use thiserror::Error;

use super::privilege::Owner;

#[derive(Debug, Error)]
pub enum TableError {
    #[error("setpriv (util-linux) and nft (nftables) cannot be started: {0}")]
    Start(io::Error),
    #[error("nft: {0}")]
    Refused(String),
}

/// Lines of its answer, and octets of one, that are read.
const MOST_LINES: usize = 500;
const MOST_LINE: u64 = 4096;
const PROGRAMS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// The table, as long as it lives.
pub struct OwnedTable {
    child: Child,
    /// Closing it ends the child.
    input: Option<ChildStdin>,
    /// What it says goes on being kept: it would be stopped by a closed pipe.
    said: BufReader<io::PipeReader>,
}

impl OwnedTable {
    /// A name that no other process of ours has.
    pub fn name_of_this_process() -> String {
        format!("jiebei_{}", std::process::id())
    }

    /// Raises the table of family inet that `rules` make, one statement a line as `nft -i` takes it, and
    /// returns when the kernel has its chain `last`. The child becomes `user`, where we may give it away.
    pub fn raise(
        name: &str,
        rules: &str,
        last: &str,
        user: Option<Owner>,
    ) -> Result<OwnedTable, TableError> {
        // One pipe for both, read by this thread: there must be no other before the capabilities are dropped.
        let (said, output) = io::pipe().map_err(TableError::Start)?;
        let errors = output.try_clone().map_err(TableError::Start)?;
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin"]);
        if let Some(Owner { uid, gid }) = user {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
            command.args(["--clear-groups", "--bounding-set=-all,+net_admin"]);
        }
        command
            .args(["--no-new-privs", "nft", "-i"])
            .env_clear()
            .env("PATH", PROGRAMS)
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C at the terminal is for us: the table goes last.
            .process_group(0);
        let mut child = command.spawn().map_err(TableError::Start)?;
        // Our copies of the writing end: without them the pipe ends with the child.
        drop(command);
        let input = child.stdin.take();
        let mut table = OwnedTable { child, input, said: BufReader::new(said) };
        let listing = format!("{rules}list table inet {name}\n");
        if let Some(input) = table.input.as_mut() {
            // A child that has ended says why by what it complained of.
            let _ = input.write_all(listing.as_bytes()).and_then(|()| input.flush());
        }
        table.hear(last).map(|()| table)
    }

    /// Reads until the listing shows the last chain, or a complaint.
    fn hear(&mut self, chain: &str) -> Result<(), TableError> {
        let expected = format!("chain {chain}");
        let mut line = String::new();
        let mut last = String::new();
        for _ in 0..MOST_LINES {
            line.clear();
            let count = self.said.by_ref().take(MOST_LINE).read_line(&mut line);
            if count.map_err(TableError::Start)? == 0 {
                break;
            }
            let text = line.trim();
            let complains = ["Error", "setpriv:", "nft:", "Operation not permitted"];
            if complains.iter().any(|word| text.contains(word)) {
                return Err(TableError::Refused(text.to_owned()));
            }
            if text.contains(&expected) {
                return Ok(());
            }
            if !text.is_empty() {
                last = text.to_owned();
            }
        }
        Err(TableError::Refused(last))
    }

    /// Whether the table still stands.
    pub fn stands(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for OwnedTable {
    fn drop(&mut self) {
        self.input = None;
        // It has nothing to do but to read the end of its input.
        let _ = self.child.wait();
    }
}
