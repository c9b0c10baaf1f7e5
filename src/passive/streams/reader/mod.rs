//! The readers of heads, one file a protocol or a family that begins alike.
//!
//! A reader gets what is there of a direction from its beginning on, and says whether it is its own. It knows its protocol by
//! the first octets, with the port only where they say too little; it keeps what it read; what is broken ends the reading and is
//! no fact. What a head carries that could open something (passwords, responses to challenges) is never put into a fact.

mod databases;
mod dcerpc;
mod dns;
mod http;
mod industrial;
mod ldap;
mod lines;
mod mail;
mod media;
mod mqtt;
mod openvpn;
mod pptp;
mod rdp;
mod smb;
mod socks;
mod ssh;
mod telnet;
mod tls;
mod vnc;

use std::net::IpAddr;

use super::End;
pub(super) use tls::{client_fact, server_fact};

use crate::observe::{Fact, Foreign, NtlmClient, NtlmServer, Role, SpokenService};
use crate::wire::ntlm::{self, Ntlm};

/// Every reader, in the order in which they are asked. Those that know by little come last.
pub const ALL: &[&dyn Reader] = &[
    &tls::Tls,
    &http::Http,
    &ssh::Ssh,
    &smb::Smb,
    &mail::Mail,
    &media::Media,
    &rdp::Rdp,
    &mqtt::Mqtt,
    &databases::Databases,
    &vnc::Vnc,
    &pptp::Pptp,
    &dns::Dns,
    &openvpn::OpenVpn,
    &socks::Socks,
    &dcerpc::Dcerpc,
    &ldap::Ldap,
    &telnet::Telnet,
    &industrial::Industrial,
];

/// One protocol's reader.
pub trait Reader: Sync {
    /// The protocol's word, in the reference.
    fn name(&self) -> &'static str;

    /// Reads a head that may be of its protocol. `said` is the reader's own: zero at first, and kept from one call to the
    /// next, so that nothing is said twice.
    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict;
}

/// What a reader makes of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is another protocol's.
    No,
    /// It may be, and there must be this many octets to go on.
    More(usize),
    /// It is, and so many octets are read; what follows is to be shown again. There may be fewer now.
    Took(usize),
    /// There is no more to say.
    Done,
    /// So many octets are read, and another protocol begins behind them (STARTTLS).
    Anew(usize),
}

/// The octets of a direction from where they have not been taken, and whose they are.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub bytes: &'a [u8],
    pub from: End,
    pub to: End,
    /// Who speaks, where the connection's beginning was seen.
    pub role: Option<Role>,
    /// There will be no more.
    pub is_last: bool,
}

impl Head<'_> {
    /// Who speaks; where the beginning was not seen, the lower port is the server's.
    pub fn role(&self) -> Role {
        let by_ports = if self.from.1 <= self.to.1 { Role::Server } else { Role::Client };
        self.role.unwrap_or(by_ports)
    }

    /// One of the ports is this one.
    pub fn has_port(&self, port: u16) -> bool {
        self.from.1 == port || self.to.1 == port
    }

    /// The speaker's port, if it is the server.
    fn port(&self, role: Role) -> Option<u16> {
        (role == Role::Server).then_some(self.from.1)
    }

    fn speaker(&self) -> IpAddr {
        self.from.0
    }

    /// That the speaker speaks a protocol.
    fn spoken(&self, role: Role, protocol: &str, says: Option<&[u8]>) -> Fact {
        Fact::Spoken(SpokenService {
            ip: self.speaker(),
            port: self.port(role),
            role,
            protocol: protocol.to_owned(),
            says: says.map(text),
        })
    }

    /// The names in an NTLM message that stands somewhere in these bytes. Whether there was one that names somebody.
    fn ntlm(&self, bytes: &[u8], tell: &mut dyn FnMut(Fact)) -> bool {
        let Some(Ok(Some(message))) = ntlm::find(bytes).map(Ntlm::read) else { return false };
        tell(match message {
            Ntlm::Challenge(challenge) => Fact::NtlmServer(NtlmServer {
                ip: self.from.0,
                port: self.from.1,
                target: Foreign::new(&challenge.target),
                netbios_computer: Foreign::new(&challenge.netbios_computer),
                netbios_domain: Foreign::new(&challenge.netbios_domain),
                dns_computer: Foreign::new(&challenge.dns_computer),
                dns_domain: Foreign::new(&challenge.dns_domain),
            }),
            Ntlm::Authenticate(names) => Fact::NtlmClient(NtlmClient {
                ip: self.from.0,
                host: Foreign::new(&names.host),
                user: Foreign::new(&names.user),
                domain: Foreign::new(&names.domain),
            }),
        });
        true
    }
}

/// A text without the white space around it.
fn text(octets: &[u8]) -> Foreign {
    Foreign::from_bytes(octets.trim_ascii())
}

/// How far the reading of a direction has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// The readers that it may still be of, a bit for each of [`ALL`].
    open: u32,
    said: u32,
    needed: usize,
    /// Octets taken that were there.
    passed: usize,
    renewed: bool,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress { open: u32::MAX, said: 0, needed: 0, passed: 0, renewed: false }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    /// Nothing more is wanted of this direction.
    Done,
    /// So many octets are not needed any more, also such as are still to come.
    Passed(usize),
}

/// Turns of one call: requests in a segment, lines of a greeting.
const MOST_TURNS: usize = 64;

impl Progress {
    pub(super) fn passed(&self) -> usize {
        self.passed
    }

    /// Shows the head to the readers that it may be of.
    pub(super) fn run(&mut self, head: Head<'_>, tell: &mut dyn FnMut(Fact)) -> Ran {
        let mut passed = 0usize;
        for _ in 0..MOST_TURNS {
            let Some(bytes) = head.bytes.get(passed..).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            if bytes.len() < self.needed && !head.is_last {
                break;
            }
            self.needed = 0;
            let took = match self.ask(&Head { bytes, ..head }, tell) {
                Verdict::No | Verdict::Done => return Ran::Done,
                Verdict::More(needed) => {
                    self.needed = needed;
                    break;
                }
                Verdict::Took(0) => return Ran::Done,
                Verdict::Took(took) => took,
                Verdict::Anew(took) => {
                    if std::mem::replace(&mut self.renewed, true) {
                        return Ran::Done;
                    }
                    (self.open, self.said) = (u32::MAX, 0);
                    took
                }
            };
            self.passed = self.passed.saturating_add(took.min(bytes.len()));
            passed = passed.saturating_add(took);
        }
        if head.is_last { Ran::Done } else { Ran::Passed(passed) }
    }

    fn ask(&mut self, head: &Head<'_>, tell: &mut dyn FnMut(Fact)) -> Verdict {
        let mut needed = usize::MAX;
        for (place, reader) in ALL.iter().enumerate() {
            let bit = 1u32 << (place & 31);
            if self.open & bit == 0 {
                continue;
            }
            match reader.read(head, &mut self.said, tell) {
                Verdict::No => self.open &= !bit,
                // Who said something is certain, and nobody else may take its notes for its own.
                Verdict::More(more) if self.said != 0 => {
                    self.open = bit;
                    return Verdict::More(more);
                }
                Verdict::More(more) => needed = needed.min(more),
                Verdict::Took(took) => {
                    self.open = bit;
                    return Verdict::Took(took);
                }
                verdict => return verdict,
            }
        }
        if needed == usize::MAX { Verdict::No } else { Verdict::More(needed) }
    }
}

/// Whether bytes start with a word, as far as they go: `None` where they are too few to tell.
fn starts(bytes: &[u8], word: &[u8]) -> Option<bool> {
    let common = bytes.len().min(word.len());
    let is_same = bytes.get(..common) == word.get(..common);
    if !is_same {
        Some(false)
    } else if common == word.len() {
        Some(true)
    } else {
        None
    }
}

#[cfg(test)]
pub(super) mod check {
    use super::*;

    pub const CLIENT: End = (IpAddr::V4(std::net::Ipv4Addr::new(10, 20, 1, 5)), 40_000);

    pub fn server(port: u16) -> End {
        ([10, 20, 1, 7].into(), port)
    }

    /// What one side says, in one piece; the same must come of it octet by octet.
    pub fn said(port: u16, role: Role, bytes: &[u8]) -> Vec<Fact> {
        let (from, to) = match role {
            Role::Client => (CLIENT, server(port)),
            Role::Server => (server(port), CLIENT),
        };
        let head = |bytes| Head { bytes, from, to, role: Some(role), is_last: false };
        let mut at_once = Vec::new();
        Progress::default().run(head(bytes), &mut |fact| at_once.push(fact));
        let (mut bit_by_bit, mut progress, mut base) = (Vec::new(), Progress::default(), 0);
        for end in 1..=bytes.len() {
            let Some(shown) = bytes.get(base..end).filter(|shown| !shown.is_empty()) else {
                continue;
            };
            match progress.run(head(shown), &mut |fact| bit_by_bit.push(fact)) {
                Ran::Done => break,
                Ran::Passed(passed) => base += passed,
            }
        }
        assert_eq!(at_once, bit_by_bit);
        at_once
    }

    /// The protocols and what they say.
    pub fn spoken(port: u16, role: Role, bytes: &[u8]) -> Vec<(String, Option<String>)> {
        said(port, role, bytes)
            .into_iter()
            .filter_map(|fact| match fact {
                Fact::Spoken(SpokenService { protocol, says, role: told, .. }) => {
                    assert_eq!(told, role);
                    Some((protocol, says.map(|says| says.raw().to_owned())))
                }
                _ => None,
            })
            .collect()
    }

    pub fn is_spoken(port: u16, role: Role, bytes: &[u8], protocol: &str, says: Option<&str>) {
        let expected = [(protocol.to_owned(), says.map(str::to_owned))];
        assert_eq!(spoken(port, role, bytes), expected);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_reader_has_a_name_and_a_bit() {
        let mut names: Vec<_> = ALL.iter().map(|reader| reader.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.len() <= 32);
    }

    const STARTS: &[&[u8]] = &[
        b"",
        b"\x16\x03\x01\0\x40",
        b"GET / HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0-",
        b"\0\0\0\x40\xffSMB",
        b"\0\0\0\x40\xfeSMB",
        b"220 ",
        b"* OK ",
        b"+OK ",
        b"RTSP/1.0 200 OK\r\n",
        b"SIP/2.0 200 OK\r\n",
        b"\x03\0\0\x20",
        b"\x10\x20\0\x04MQTT",
        b"\x4a\0\0\0\x0a",
        b"RFB 003",
        b"\0\x9c\0\x01\x1a\x2b\x3c\x4d",
        b"\x05\0\x0b\x03",
        b"\x30\x20\x02\x01\x01",
        b"\xff\xfb",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"NTLMSSP\0",
    ];

    proptest! {
        #[test]
        fn no_bytes_make_them_panic(
            start in 0..STARTS.len(),
            rest in proptest::collection::vec(any::<u8>(), 0..400),
            port in prop::sample::select(vec![21u16, 25, 80, 102, 110, 139, 389, 443, 445, 502, 3389, 5432, 9]),
            is_server: bool,
            is_last: bool,
            said in 0u32..4,
        ) {
            let bytes = [STARTS[start], &rest].concat();
            let (from, to) = if is_server { (check::server(port), check::CLIENT) } else { (check::CLIENT, check::server(port)) };
            let head = Head { bytes: &bytes, from, to, role: None, is_last };
            for reader in ALL {
                let mut said = said;
                reader.read(&head, &mut said, &mut |_| ());
            }
            Progress::default().run(head, &mut |_| ());
        }
    }
}
