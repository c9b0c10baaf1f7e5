//! DNS (RFC 1035, 2136) over UDP (by its port; on others by its form), and over TCP (RFC 7766), where a segment begins with a whole message or a
//! stream's head has one in several segments: who asks whom, who
//! answers, what is asked for and what is told.
//!
//! Taken: clients with their servers, servers, names asked for with their types, and of records the addresses and the names
//! that they lead to; also out of updates, in which clients register themselves. Left: times to live, texts, signatures,
//! long messages of long streams, and whatever else uses the port: what does not begin like a message is none.
//! Records are kept under who sent them, questions under who asked; both are bounded by the listener.

use std::net::IpAddr;

use super::{Dissector, Facts, Packet, Wake};
use crate::net::Mac;
use crate::observe::heard_names::{NameClient, NameProtocol, NameQuery, NameRecord, NameServer};
use crate::observe::{Fact, Foreign, Source};
use crate::wire::dns::{self, Message, Question, Record, RecordData};
use crate::wire::tcp::TcpSegment;
use crate::wire::{Cursor, Protocol, WireError};

pub(super) struct Dns;

const PORT: u16 = 53;
/// Flags and counts of a question that asks for recursion, by which it is known on other ports: with and without EDNS.
const ONE_QUESTION: &[u8] = &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
const ONE_QUESTION_AND_OPTIONS: &[u8] = &[1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
/// What answers on other ports have in the place of these counts: one question, and fewer than 256 answers.
const ONE_QUESTION_AND_ANSWERS: &[u8] = &[0, 1, 0];
/// Whose questions look the same: NetBIOS, mDNS, LLMNR.
const OTHERS: &[u16] = &[137, 5353, 5355];
/// Opcodes of IANA's table: DSO, RFC 8490, is the last.
const MOST_OPCODE: u8 = 6;
/// More than any resolver asks at once (it asks one).
const MOST_QUESTIONS: u16 = 16;
/// Messages read of one segment: a pipeline of answers (RFC 7766 §6.2.1).
const MOST_MESSAGES: usize = 16;

impl Dissector for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[
            Wake::Udp(PORT),
            Wake::Datagram(2, ONE_QUESTION),
            Wake::Datagram(2, ONE_QUESTION_AND_OPTIONS),
            Wake::Datagram(4, ONE_QUESTION_AND_ANSWERS),
            Wake::Protocol(Protocol::TCP),
        ]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        if let Some(ports) = packet.ports {
            return datagram(packet, ports, facts);
        }
        let Some(ports) = tcp_ports(packet.payload) else { return Ok(()) };
        if ports.0 != PORT && ports.1 != PORT {
            return Ok(());
        }
        let segment = TcpSegment::read(packet.payload)?;
        let mut cursor = Cursor::new("dns", segment.payload);
        for _ in 0..MOST_MESSAGES {
            // A part of a message tells nothing by itself.
            let Some(message) = whole(&mut cursor) else { break };
            let _ = message_of(packet, ports, "tcp", message, facts);
        }
        Ok(())
    }
}

/// The ports of a TCP segment, without reading more of it.
pub(super) fn tcp_ports(payload: &[u8]) -> Option<(u16, u16)> {
    let &[a, b, c, d] = payload.first_chunk()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// Flags of an answer to a plain question: a response of opcode zero, without what is reserved, with one of the common codes.
fn is_answer(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, flags, code, ..] if flags & 0xf8 == 0x80 && code & 0x40 == 0 && code & 0x0f <= 5)
}

fn whole<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let length = cursor.u16().ok().filter(|length| *length >= 12)?;
    cursor.take(usize::from(length)).ok()
}

fn datagram(
    packet: &Packet<'_>,
    ports: (u16, u16),
    facts: &mut Facts<'_>,
) -> Result<(), WireError> {
    message_of(packet, ports, "udp", packet.payload, facts)
}

fn message_of(
    packet: &Packet<'_>,
    ports: (u16, u16),
    transport: &str,
    bytes: &[u8],
    facts: &mut Facts<'_>,
) -> Result<(), WireError> {
    let Some(ip) = packet.ip else { return Ok(()) };
    let ends = (ip.source, ip.destination);
    message_between(ends, packet.source, ports, transport, bytes, facts)
}

/// A message that several segments of a stream brought, whose MACs are not known here.
pub(in crate::passive) fn of_stream(
    (from, to): ((IpAddr, u16), (IpAddr, u16)),
    bytes: &[u8],
    tell: &mut dyn FnMut(Fact),
) {
    let mut facts = Facts {
        out: &mut |_, fact| tell(fact),
        crossings: &mut |_| (),
        segments: &mut |_| (),
        encapsulation: None,
    };
    let (ends, ports) = ((from.0, to.0), (from.1, to.1));
    let _ = message_between(ends, Mac::ZERO, ports, "tcp", bytes, &mut facts);
}

fn message_between(
    (from, to): (IpAddr, IpAddr),
    mac: Mac,
    ports: (u16, u16),
    transport: &str,
    bytes: &[u8],
    facts: &mut Facts<'_>,
) -> Result<(), WireError> {
    let message = Message::read(bytes)?;
    let ((questions, records), ended) = message.sections();
    let is_by_port = ports.0 == PORT || ports.1 == PORT;
    let is_of_other = OTHERS.contains(&ports.0) || OTHERS.contains(&ports.1);
    if !is_by_port && (is_of_other || ended.is_err()) {
        return Ok(());
    }
    // By its form alone an answer is known if it repeats one question with a name of several labels, or tells something, and
    // every record can be read.
    if !is_by_port
        && message.is_response
        && !(matches!(&questions[..], [question] if question.name.contains('.') || !records.is_empty())
            && is_answer(bytes))
    {
        return Ok(());
    }
    // Whatever else uses the port does not begin like one question or a few. RFC 1035 §4.1.1, 2136 §1.3.
    let [asked, ..] = message.counts;
    let is_one = message.opcode <= MOST_OPCODE && asked <= MOST_QUESTIONS;
    if !is_one && questions.is_empty() && records.is_empty() {
        return ended;
    }
    let (client, server, port) = match message.is_response {
        true => (to, from, ports.0),
        false => (from, to, ports.1),
    };
    if message.is_response {
        facts.put(
            Source::Heard,
            Fact::NameServer(NameServer { ip: server, mac, port, transport: transport.to_owned() }),
        );
    } else {
        facts.put(Source::Heard, Fact::NameClient(NameClient { ip: client, server }));
    }
    queries(NameProtocol::Dns, client, questions, facts);
    let role = match (message.opcode, message.is_response) {
        (dns::OPCODE_UPDATE, _) => "update",
        (_, true) => "answer",
        (_, false) => "claim",
    };
    for record in records {
        if !matches!(record.data, RecordData::Unread | RecordData::Txt(_)) {
            put_record(Source::Heard, NameProtocol::Dns, from, role, &record, facts);
        }
    }
    ended
}

/// The names asked for.
pub(super) fn queries(
    protocol: NameProtocol,
    ip: IpAddr,
    questions: Vec<Question>,
    facts: &mut Facts<'_>,
) {
    let source = match protocol {
        NameProtocol::Dns => Source::Heard,
        NameProtocol::Mdns => Source::Mdns,
        NameProtocol::Llmnr => Source::Llmnr,
    };
    for question in questions {
        let query = NameQuery {
            protocol,
            ip,
            name: Foreign::new(&question.name),
            record_type: dns::type_word(question.record_type).into_owned(),
        };
        facts.put(source, Fact::NameQuery(query));
    }
}

pub(super) fn put_record(
    source: Source,
    protocol: NameProtocol,
    ip: IpAddr,
    role: &str,
    record: &Record,
    facts: &mut Facts<'_>,
) {
    let (value, port) = match &record.data {
        RecordData::A(address) => (Some(address.to_string()), None),
        RecordData::Aaaa(address) => (Some(address.to_string()), None),
        RecordData::Ptr(name) | RecordData::Name(name) => (Some(name.clone()), None),
        RecordData::Srv { port, target } => (Some(target.clone()), Some(*port)),
        RecordData::Txt(_) | RecordData::Unread => (None, None),
    };
    let record = NameRecord {
        protocol,
        ip,
        role: role.to_owned(),
        name: Foreign::new(&record.name),
        record_type: dns::type_word(record.record_type).into_owned(),
        value: value.as_deref().map(Foreign::new),
        port,
    };
    facts.put(source, Fact::NameRecord(record));
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, datagram, facts, oddities, packet};
    use super::*;

    /// Asks for and answers with the address of `a.example`.
    const ANSWER: &[u8] = b"\x00\x07\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x07example\0\0\x01\0\x01\
        \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xcb\0\x71\x07";

    fn question() -> Vec<u8> {
        let mut question = ANSWER[..27].to_vec();
        (question[2], question[3], question[7]) = (1, 0, 0);
        question
    }

    const CLIENT: &str = "10.20.1.5";
    const SERVER: &str = "10.20.9.53";

    fn expected(transport: &str) -> Vec<Fact> {
        vec![
            Fact::NameServer(NameServer {
                ip: SERVER.parse().unwrap(),
                mac: OURS,
                port: 53,
                transport: transport.into(),
            }),
            Fact::NameQuery(NameQuery {
                protocol: NameProtocol::Dns,
                ip: CLIENT.parse().unwrap(),
                name: Foreign::new("a.example"),
                record_type: "A".into(),
            }),
            Fact::NameRecord(NameRecord {
                protocol: NameProtocol::Dns,
                ip: SERVER.parse().unwrap(),
                role: "answer".into(),
                name: Foreign::new("a.example"),
                record_type: "A".into(),
                value: Some(Foreign::new("203.0.113.7")),
                port: None,
            }),
        ]
    }

    #[test]
    fn who_asks_and_who_answers() {
        let asked = facts(&datagram((CLIENT, 4000), (SERVER, 53), &question()));
        let client = NameClient { ip: CLIENT.parse().unwrap(), server: SERVER.parse().unwrap() };
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0], Fact::NameClient(client));
        assert_eq!(facts(&datagram((SERVER, 53), (CLIENT, 4000), ANSWER)), expected("udp"));
    }

    #[test]
    fn a_segment_that_begins_with_a_whole_message() {
        let segment = |from: u16, to: u16, payload: &[u8]| {
            let mut bytes = [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0; 8]].concat();
            bytes.extend_from_slice(&[0x50, 0x18, 0, 0, 0, 0, 0, 0]);
            bytes.extend_from_slice(payload);
            facts(&packet(SERVER, CLIENT, Protocol::TCP, 64, &bytes))
        };
        let framed = [&(ANSWER.len() as u16).to_be_bytes()[..], ANSWER].concat();
        assert_eq!(segment(53, 4000, &framed), expected("tcp"));
        assert_eq!(segment(53, 4000, &framed.repeat(2)).len(), 6);
        assert_eq!(segment(53, 4000, &framed[..framed.len() - 1]), []);
        assert_eq!(segment(5300, 4000, &framed), []);
    }

    #[test]
    fn what_is_no_message_is_an_oddity_and_nothing_else() {
        let frame = datagram((CLIENT, 4000), (SERVER, 53), &[0x55; 40]);
        assert_eq!(facts(&frame).len(), 1);
        assert_eq!(oddities(&frame).len(), 1);
    }
}
