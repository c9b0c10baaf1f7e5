//! Holds back what the kernel would answer on the canaries by itself.
//!
//! An nftables table with `flags owner` belongs to the socket that made it: the kernel removes it when that socket
//! closes, however its process ended. The socket is that of a child (`nft -i`), which keeps CAP_NET_ADMIN and
//! nothing else and ends when its standard input does: so also after our kill -9. (nft 1.0.6, Linux 6.18: seen in
//! `tests/collector.rs`.)
//!
//! Answers are held back, input is not: another service of the host, an operator's SSH on the same address, goes on
//! working. Held back are ICMP answers and errors; resets for what no socket wanted, which are those without ACK or with
//! sequence number zero (RFC 9293 §3.10.7.1), not those with which a service ends its own connection; and for our own
//! ports every SYN-ACK of a flow after the first within some seconds, so that a SYN with a made-up source is
//! answered by one packet and no second. The list of flows is bounded: beyond it SYN-ACKs are held back altogether.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use thiserror::Error;

use crate::link::privilege::Owner;

#[derive(Debug, Error)]
pub enum ShieldError {
    #[error("setpriv (util-linux) and nft (nftables) cannot be started: {0}")]
    Start(io::Error),
    #[error("nft: {0}")]
    Refused(String),
}

/// With [`crate::link::listener::answer_sparingly`] the kernel sends a second SYN-ACK after one second and gives up after three.
const FLOW_LIFE: u32 = 5;
/// Flows remembered in each family: 13,000 connections a second.
const MOST_FLOWS: u32 = 65_535;
/// Lines of its answer, and octets of one, that are read.
const MOST_LINES: usize = 500;
const MOST_LINE: u64 = 4096;
const PROGRAMS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// The table, as long as it lives.
pub struct Shield {
    child: Child,
    /// Closing it ends the child.
    input: Option<ChildStdin>,
    /// What it says goes on being kept: it would be stopped by a closed pipe.
    said: BufReader<io::PipeReader>,
    pub table: String,
}

impl Shield {
    /// Raises the table, and returns when the kernel has it. The child becomes `user`, where we may give it away.
    pub fn raise(
        canaries: &[IpAddr],
        ports: &[u16],
        user: Option<Owner>,
    ) -> Result<Shield, ShieldError> {
        let table = format!("jiebei_{}", std::process::id());
        // One pipe for both, read by this thread: there must be no other before the capabilities are dropped.
        let (said, output) = io::pipe().map_err(ShieldError::Start)?;
        let errors = output.try_clone().map_err(ShieldError::Start)?;
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
        let mut child = command.spawn().map_err(ShieldError::Start)?;
        // Our copies of the writing end: without them the pipe ends with the child.
        drop(command);
        let input = child.stdin.take();
        let mut shield = Shield { child, input, said: BufReader::new(said), table };
        let text = rules(&shield.table, canaries, ports);
        let listing = format!("{text}list table inet {}\n", shield.table);
        if let Some(input) = shield.input.as_mut() {
            // A child that has ended says why by what it complained of.
            let _ = input.write_all(listing.as_bytes()).and_then(|()| input.flush());
        }
        shield.hear().map(|()| shield)
    }

    /// Reads until the listing shows the last chain, or a complaint.
    fn hear(&mut self) -> Result<(), ShieldError> {
        let mut line = String::new();
        let mut last = String::new();
        for _ in 0..MOST_LINES {
            line.clear();
            let count = self.said.by_ref().take(MOST_LINE).read_line(&mut line);
            if count.map_err(ShieldError::Start)? == 0 {
                break;
            }
            let text = line.trim();
            let complains = ["Error", "setpriv:", "nft:", "Operation not permitted"];
            if complains.iter().any(|word| text.contains(word)) {
                return Err(ShieldError::Refused(text.to_owned()));
            }
            if text.contains("chain held") {
                return Ok(());
            }
            if !text.is_empty() {
                last = text.to_owned();
            }
        }
        Err(ShieldError::Refused(last))
    }

    /// Whether the table still stands.
    pub fn stands(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        self.input = None;
        // It has nothing to do but to read the end of its input.
        let _ = self.child.wait();
    }
}

/// The table, one statement a line, as `nft -i` takes it.
fn rules(table: &str, canaries: &[IpAddr], ports: &[u16]) -> String {
    let list = |wanted: fn(&&IpAddr) -> bool| {
        let list: Vec<String> = canaries.iter().filter(wanted).map(IpAddr::to_string).collect();
        list.join(", ")
    };
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let ports = ports.join(", ");
    let mut text = format!(
        "add table inet {table} {{ flags owner; }}\n\
         add chain inet {table} answers {{ type filter hook output priority -300; policy accept; }}\n\
         add chain inet {table} held\n\
         add rule inet {table} held oifname \"lo\" accept\n\
         add rule inet {table} held icmp type {{ echo-reply, destination-unreachable, source-quench, redirect, \
         time-exceeded, parameter-problem, timestamp-reply, info-reply, address-mask-reply }} drop\n\
         add rule inet {table} held icmpv6 type {{ echo-reply, destination-unreachable, time-exceeded, parameter-problem }} drop\n\
         add rule inet {table} held tcp flags & (rst | ack) == rst drop\n\
         add rule inet {table} held tcp flags & (rst | ack) == (rst | ack) tcp sequence 0 drop\n"
    );
    for (family, protocol, kind, list) in [
        ("ip", "ipv4", "ipv4_addr", list(|address| address.is_ipv4())),
        ("ip6", "ipv6", "ipv6_addr", list(|address| address.is_ipv6())),
    ] {
        if list.is_empty() {
            continue;
        }
        if !ports.is_empty() {
            let answer = format!(
                "meta nfproto {protocol} tcp flags & (syn | ack) == (syn | ack) tcp sport {{ {ports} }}"
            );
            let flow = format!("{family} daddr . tcp dport . tcp sport");
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                "add set inet {table} flows_{family} {{ type {kind} . inet_service . inet_service; size {MOST_FLOWS}; \
                 flags dynamic,timeout; timeout {FLOW_LIFE}s; }}\n\
                 add rule inet {table} held {answer} {flow} @flows_{family} drop\n\
                 add rule inet {table} held {answer} add @flows_{family} {{ {flow} }} accept\n\
                 add rule inet {table} held {answer} drop\n"
            );
        }
        let _ =
            writeln!(text, "add rule inet {table} answers {family} saddr {{ {list} }} jump held");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_without_a_canary_has_no_rule() {
        let text = rules("t", &[[198, 51, 100, 10].into()], &[80, 443]);
        assert!(text.contains("answers ip saddr { 198.51.100.10 } jump held"));
        assert!(text.contains("tcp sport { 80, 443 }"));
        assert!(!text.contains("ip6 saddr"));
        assert!(text.lines().all(|line| line.starts_with("add ")));
    }
}
