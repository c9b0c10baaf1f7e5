//! Syslog over UDP (RFC 3164, 5424, 5426): who reports to which collector, and as which host.
//!
//! Taken: the sender, the collector, the host name in the header. Left: everything that is reported.

use super::{Dissector, Facts, Packet, Wake, said};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::WireError;

pub(super) struct Syslog;

const PORT: u16 = 514;
const MONTHS: &[&[u8]] = &[
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

impl Dissector for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(PORT)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (Some(ip), Some((_, PORT))) = (packet.ip, packet.ports) else { return Ok(()) };
        // Without a priority it is something else, or a message that RFC 3164 §4.3.3 lets a relay mend.
        let Some(behind) = behind_priority(packet.payload) else { return Ok(()) };
        let host = host(behind).filter(|host| host.len() <= 255 && *host != b"-");
        let details = host.map(|host| Detail::new("host", Foreign::from_bytes(host)));
        let details = details.into_iter().collect();
        facts.say(said(packet, self.name(), "sender", Some(ip.destination), details));
        Ok(())
    }
}

/// Behind `<13>`: one to three digits.
fn behind_priority(payload: &[u8]) -> Option<&[u8]> {
    let rest = payload.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|octet| *octet == b'>')?;
    let (digits, rest) = rest.split_at_checked(end)?;
    let are_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    are_digits.then_some(rest.get(1..)?)
}

fn host(behind: &[u8]) -> Option<&[u8]> {
    let mut words = behind.split(|octet| *octet == b' ');
    if let Some(rest) = behind.strip_prefix(b"1 ") {
        return rest.split(|octet| *octet == b' ').nth(1).filter(|host| !host.is_empty());
    }
    // `Oct  5 22:14:15 host tag: …`: a day of one digit has a space before it.
    if !MONTHS.contains(&words.next()?) {
        return None;
    }
    let mut words = words.filter(|word| !word.is_empty());
    let (day, time, host) = (words.next()?, words.next()?, words.next()?);
    let is_time =
        day.iter().all(u8::is_ascii_digit) && matches!(time, [_, _, b':', _, _, b':', _, _, ..]);
    // Some leave the host out and go on with the tag.
    let is_tag = host.ends_with(b":") || host.contains(&b'[');
    (is_time && !is_tag).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use crate::observe::Fact;

    #[test]
    fn the_host_is_taken_where_a_header_has_one() {
        let said = |text: &str| {
            let frame = datagram(("10.20.1.9", 514), ("10.20.1.7", 514), text.as_bytes());
            match &facts(&frame)[..] {
                [] => None,
                [Fact::Said(said)] => {
                    Some(said.details.first().map_or(String::new(), |d| d.value.raw().to_owned()))
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(said("<34>Oct  5 22:14:15 sw1 su: x").as_deref(), Some("sw1"));
        assert_eq!(said("<34>Oct 11 22:14:15 su[7]: x").as_deref(), Some(""));
        assert_eq!(
            said("<165>1 2003-10-11T22:14:15Z sw1.example app - - - x").as_deref(),
            Some("sw1.example")
        );
        assert_eq!(said("<165>1 - - app").as_deref(), Some(""));
        assert_eq!(said("<1a>x"), None);
        assert_eq!(said("hello"), None);
    }
}
