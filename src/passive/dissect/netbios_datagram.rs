//! NetBIOS datagrams (RFC 1002 §4.4), and the browser's announcements in them (MS-BRWS).
//!
//! Taken: by which name a station sends; of announcements the server, the version of its operating system, what it is and
//! its comment; who keeps a domain's list. A host that announces itself to the link's broadcast has the name. Left: periods,
//! counts and uptimes; what is written to other mailslots.

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::heard_names::{Browser, NetbiosName};
use crate::observe::{Fact, Foreign, Source};
use crate::wire::WireError;
use crate::wire::netbios::{self, Datagram, Name};

pub(super) struct NetbiosDatagrams;

impl Dissector for NetbiosDatagrams {
    fn name(&self) -> &'static str {
        "netbios-datagram"
    }

    fn source(&self) -> Source {
        Source::Netbios
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(138)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let Some(datagram) = Datagram::read(packet.payload)? else { return Ok(()) };
        if let Some(Name { text, suffix }) = &datagram.source {
            facts.put(
                Source::Netbios,
                Fact::NetbiosName(NetbiosName {
                    ip: ip.source,
                    mac: packet.source,
                    said: "datagram".to_owned(),
                    name: Foreign::new(text),
                    suffix: *suffix,
                    group: None,
                    addresses: Vec::new(),
                    unit: None,
                }),
            );
        }
        let Some(browser) = datagram.browser()? else { return Ok(()) };
        let is_host = matches!(
            browser.command,
            netbios::HOST_ANNOUNCEMENT | netbios::LOCAL_MASTER_ANNOUNCEMENT
        );
        let sender = datagram.source.as_ref();
        if let Some(server) = &browser.server
            && is_host
            && packet.destination.is_group()
            && sender.is_some_and(|sender| sender.text.eq_ignore_ascii_case(server))
        {
            facts.put(
                Source::Netbios,
                Fact::Name {
                    mac: packet.source,
                    ip: ip.source,
                    name: Foreign::new(server),
                    addresses: Vec::new(),
                },
            );
        }
        let told = browser.comment.as_deref().map(Foreign::new);
        let (comment, master) = match browser.command {
            netbios::DOMAIN_ANNOUNCEMENT => (None, told),
            _ => (told, None),
        };
        facts.put(
            Source::Netbios,
            Fact::Browser(Browser {
                ip: ip.source,
                mac: packet.source,
                command: browser.command,
                sender: Foreign::new(sender.map_or("", |sender| &sender.text)),
                suffix: sender.map_or(0, |sender| sender.suffix),
                server: browser.server.as_deref().map(Foreign::new),
                os_version: browser.os_version.map(|(major, minor)| format!("{major}.{minor}")),
                server_type: browser.server_type,
                comment,
                master,
            }),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, datagram, facts};
    use super::*;

    fn encoded(name: &[u8; 15], suffix: u8) -> Vec<u8> {
        let octets = name.iter().copied().chain([suffix]);
        let letters = octets.flat_map(|octet| [b'A' + (octet >> 4), b'A' + (octet & 0xf)]);
        [32].into_iter().chain(letters).chain([0]).collect()
    }

    fn announcement(command: u8) -> Vec<u8> {
        let mut data = vec![command, 0, 0, 0, 0, 0];
        data.extend_from_slice(b"DESK\0\0\0\0\0\0\0\0\0\0\0\0");
        data.extend_from_slice(&[6, 1, 3, 0x10, 0, 0, 15, 1, 0x55, 0xaa]);
        data.extend_from_slice(b"third floor\0");
        let mut smb = b"\xffSMB\x25".to_vec();
        smb.resize(32, 0);
        smb.push(17);
        smb.extend_from_slice(&[0; 22]);
        smb.extend_from_slice(&(data.len() as u16).to_le_bytes());
        smb.extend_from_slice(&86u16.to_le_bytes());
        smb.resize(69, 0);
        smb.extend_from_slice(b"\\MAILSLOT\\BROWSE\0");
        smb.extend_from_slice(&data);
        let mut message = vec![0x11, 2, 0, 1, 10, 20, 1, 9, 0, 138, 0, 0, 0, 0];
        message.extend(encoded(b"DESK           ", 0x20));
        message.extend(encoded(b"WORKGROUP      ", 0x1d));
        message.extend_from_slice(&smb);
        let mut frame = datagram(("10.20.1.9", 138), ("10.20.1.255", 138), &message);
        frame[..6].copy_from_slice(&[0xff; 6]);
        frame
    }

    #[test]
    fn a_host_announces_itself() {
        let found = facts(&announcement(1));
        let [Fact::NetbiosName(_), Fact::Name { mac: OURS, name, .. }, Fact::Browser(browser)] =
            &found[..]
        else {
            panic!("{found:?}")
        };
        assert_eq!((name.raw(), browser.sender.raw(), browser.suffix), ("DESK", "DESK", 0x20));
        assert_eq!(browser.os_version.as_deref(), Some("6.1"));
        assert_eq!(browser.server_type, Some(0x1003));
        assert_eq!(browser.comment.as_ref().map(Foreign::raw), Some("third floor"));
        let found = facts(&announcement(12));
        let [Fact::NetbiosName(_), Fact::Browser(browser)] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(browser.master.as_ref().map(Foreign::raw), Some("third floor"));
    }
}
