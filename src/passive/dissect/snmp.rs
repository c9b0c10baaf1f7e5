//! SNMP of all versions (RFC 1157, 1901, 3412, 3414): who manages whom, and what devices say they are.
//!
//! Taken: version, agent and manager, what is done; of version 3 the engine and the user; of responses and traps the system
//! group's description, name, object and place where a variable holds them; of traps which they are. A community is kept as
//! the beginning of its SHA-256 alone: enough to tell that two are the same. Left: all other variables, passwords, times,
//! who is to be asked (sysContact names a person).

use super::{Dissector, Facts, Packet, Wake, hex, said};
use crate::observe::heard_names::{Detail, Snmp as Speaker};
use crate::observe::{Fact, Foreign, Source};
use crate::wire::WireError;
use crate::wire::snmp::{self, Heard, Oid, Unit, Value};

pub(super) struct Snmp;

/// The system group, RFC 3418 §2, and what is taken of it.
const SYSTEM: &[u32] = &[1, 3, 6, 1, 2, 1, 1];
const TAKEN: &[(u32, &str)] =
    &[(1, "sysDescr"), (2, "sysObjectID"), (5, "sysName"), (6, "sysLocation")];
/// snmpTrapOID.0, RFC 3418 §2.
const TRAP: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];

impl Dissector for Snmp {
    fn name(&self) -> &'static str {
        "snmp"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(161), Wake::Udp(162)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let (heard, ended) = snmp::hear(packet.payload);
        let version = match heard.version {
            _ if heard.community.is_none() && heard.unit.is_none() && heard.user.is_none() => {
                return ended;
            }
            0 => "1",
            1 => "2c",
            _ => "3",
        };
        let role = heard.unit.and_then(role);
        facts.put(
            Source::Heard,
            Fact::SnmpSpeaker(Speaker {
                ip: ip.source,
                peer: ip.destination,
                role: role.map(str::to_owned),
                version: version.to_owned(),
                said: heard.unit.map_or("unread", word).to_owned(),
                community: heard.community.map(digest),
                engine: heard.engine.map(hex),
                user: heard.user.map(Foreign::from_bytes),
            }),
        );
        let told = system(&heard);
        if role == Some("agent") && !told.is_empty() {
            facts.say(said(packet, self.name(), "agent", None, told));
        }
        if heard.unit == Some(Unit::Trap) {
            let told = trap(&heard);
            facts.say(said(packet, self.name(), "trap", Some(ip.destination), told));
        }
        ended
    }
}

/// The first sixteen digits of the SHA-256.
fn digest(secret: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, secret);
    let digits: String = hex(digest.as_ref()).chars().take(16).collect();
    format!("sha256:{digits}")
}

fn role(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::Get | Unit::GetNext | Unit::GetBulk | Unit::Set => Some("manager"),
        Unit::Response | Unit::Trap | Unit::Report => Some("agent"),
        // An inform goes between managers too, and its answer looks like every other.
        Unit::Inform | Unit::Encrypted => None,
    }
}

fn word(unit: Unit) -> &'static str {
    match unit {
        Unit::Get => "get",
        Unit::GetNext => "get-next",
        Unit::Response => "response",
        Unit::Set => "set",
        Unit::Trap => "trap",
        Unit::GetBulk => "get-bulk",
        Unit::Inform => "inform",
        Unit::Report => "report",
        Unit::Encrypted => "encrypted",
    }
}

fn system(heard: &Heard<'_>) -> Vec<Detail> {
    let mut told = Vec::new();
    for (name, value) in &heard.values {
        let Some([object, 0]) = name.within(SYSTEM) else { continue };
        let Some((_, word)) = TAKEN.iter().find(|(taken, _)| taken == object) else { continue };
        let value = match value {
            Value::Octets(octets) if !octets.is_empty() => Foreign::from_bytes(octets),
            Value::Oid(object) => Foreign::new(&object.to_string()),
            _ => continue,
        };
        let detail = Detail::new(word, value);
        if told.len() < TAKEN.len() && !told.contains(&detail) {
            told.push(detail);
        }
    }
    told
}

fn trap(heard: &Heard<'_>) -> Vec<Detail> {
    let detail = |name: &str, value: &str| Detail::new(name, Foreign::new(value));
    if let Some((object, address, generic, specific)) = &heard.trap {
        let address = std::net::Ipv4Addr::from(*address);
        return vec![
            detail("enterprise", &object.to_string()),
            detail("agent", &address.to_string()),
            detail("trap", &format!("{generic}.{specific}")),
        ];
    }
    let is_trap = |(name, value): &(Oid, Value)| match value {
        Value::Oid(trap) if name.0 == TRAP => Some(detail("trap", &trap.to_string())),
        _ => None,
    };
    heard.values.iter().find_map(is_trap).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use super::*;

    /// A response of version 2c by the community `public`: sysName is `sw1`.
    const RESPONSE: &[u8] = &[
        0x30, 0x29, 2, 1, 1, 4, 6, b'p', b'u', b'b', b'l', b'i', b'c', 0xa2, 0x1c, 2, 1, 7, 2, 1,
        0, 2, 1, 0, 0x30, 0x11, 0x30, 0x0f, 6, 8, 0x2b, 6, 1, 2, 1, 1, 5, 0, 4, 3, b's', b'w',
        b'1',
    ];

    #[test]
    fn a_community_is_hashed_and_a_name_is_taken() {
        let found = facts(&datagram(("10.20.1.9", 161), ("10.20.1.7", 4000), RESPONSE));
        let [Fact::SnmpSpeaker(speaker), Fact::Said(said)] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(speaker.community.as_deref(), Some("sha256:efa1f375d76194fa"));
        assert_eq!((speaker.role.as_deref(), speaker.version.as_str()), (Some("agent"), "2c"));
        assert_eq!(said.details, [Detail::new("sysName", Foreign::new("sw1"))]);
        assert!(!format!("{found:?}").contains("public"));
    }
}
