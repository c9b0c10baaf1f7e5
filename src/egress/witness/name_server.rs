//! The authority of the canary zone: a token that is looked up by name, whichever resolver asks in the end.
//!
//! `TOKEN.ZONE`, one label below the zone, is answered where the token's seal is right: TXT with the proof and the
//! address that asked, A and AAAA with the canary that was asked, everything else with nothing (NODATA). One label
//! and any case of letters, so that resolvers which minimise names (RFC 9156) or mix their case (draft-vixie-dnsext-dns0x20)
//! come through; the answer repeats the question as it was asked. Time to live is zero: no cache answers in our place.
//!
//! The zone itself has SOA, NS, A and AAAA, at a bounded rate: what a resolver may ask to find us. Its name server is the
//! zone's own name. Everything else is dropped without a word: other names, answers, other opcodes, what cannot be
//! read. One packet answers one, and no datagram is longer than twice the question: what would be is
//! answered by a truncated one, and whoever wants it comes by TCP.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode};
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use super::record::{Recorder, Seen};
use crate::egress::token::{EgressKey, Token};
use crate::observe::Carrier;

/// A question with one name and an OPT is shorter (RFC 1035 §4.2.1); so is our answer.
const LONGEST: usize = 1232;
/// Answers about the zone itself in a second: a resolver asks once and keeps it.
const MOST_ABOUT_ZONE: u64 = 50;
/// How long resolvers may keep what is said of the zone itself, in seconds.
const ZONE_LIFE: u32 = 300;
const MOST_CONNECTIONS: usize = 128;
const CONNECTION_LIFE: Duration = Duration::from_secs(10);
/// Questions on one connection.
const MOST_QUESTIONS: usize = 8;

/// What is said to a question.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    octets: Vec<u8>,
    /// The token of the name; none of the zone itself.
    token: Option<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Datagram,
    Stream,
}

/// Everything the zone knows.
pub struct Authority {
    zone: Name,
    key: EgressKey,
    /// The second since the start, and how many answers about the zone were given in it.
    about_zone: AtomicU64,
    started: Instant,
    connections: Arc<Semaphore>,
}

/// The zone's name from what the user wrote.
pub fn zone(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text.trim_end_matches('.')).ok()?;
    name.set_fqdn(true);
    // A token's label and its length come before it.
    (!name.is_root() && name.len() + 27 <= 255).then_some(name)
}

impl Authority {
    pub fn new(zone: Name, key: EgressKey) -> Authority {
        Authority {
            zone,
            key,
            about_zone: AtomicU64::new(0),
            started: Instant::now(),
            connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
        }
    }

    /// The answer to a message that came to a canary; `None` is silence.
    fn answer(&self, asked: &[u8], observed: IpAddr, canary: IpAddr, by: By) -> Option<Answer> {
        // The flags and the one question, before anything is allocated: junk ends here.
        let [_, _, flags, _, 0, 1, 0, 0, 0, 0, ..] = *asked else { return None };
        if asked.len() > LONGEST || flags & 0xf8 != 0 {
            return None;
        }
        let asked_length = asked.len();
        let asked = Message::from_vec(asked).ok()?;
        let [question] = asked.queries.as_slice() else { return None };
        if question.query_class != DNSClass::IN {
            return None;
        }
        let name = &question.name;
        let address = match (question.query_type, canary) {
            (RecordType::A, IpAddr::V4(address)) => Some(RData::A(A(address))),
            (RecordType::AAAA, IpAddr::V6(address)) => Some(RData::AAAA(AAAA(address))),
            _ => None,
        };
        let (data, life, token) = if *name == self.zone {
            let data = match question.query_type {
                RecordType::SOA => Some(RData::SOA(SOA::new(
                    self.zone.clone(),
                    self.zone.clone(),
                    1,
                    3600,
                    600,
                    86_400,
                    0,
                ))),
                RecordType::NS => Some(RData::NS(NS(self.zone.clone()))),
                _ => address,
            };
            if !self.may_answer_about_zone() {
                return None;
            }
            (data, ZONE_LIFE, None)
        } else {
            let is_below = name.num_labels() == self.zone.num_labels() + 1;
            if !is_below || !self.zone.zone_of(name) {
                return None;
            }
            let token = Token::of_label(Carrier::DnsUdp, name.iter().next()?)?;
            if !self.key.recognises(token) {
                return None;
            }
            let data = match question.query_type {
                RecordType::TXT => {
                    Some(RData::TXT(TXT::new(vec![self.key.answer(token, observed)])))
                }
                _ => address,
            };
            (data, 0, Some(token))
        };
        let mut answer = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
        answer.metadata.authoritative = true;
        answer.metadata.recursion_desired = asked.metadata.recursion_desired;
        answer.add_query(question.clone());
        if let Some(data) = data {
            answer.add_answer(Record::from_rdata(name.clone(), life, data));
        }
        if asked.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(LONGEST as u16);
            answer.set_edns(edns);
        }
        let mut octets = answer.to_vec().ok()?;
        if by == By::Datagram && octets.len() > 2 * asked_length {
            answer.answers.clear();
            answer.metadata.truncation = true;
            octets = answer.to_vec().ok()?;
            if octets.len() > 2 * asked_length {
                return None;
            }
        }
        Some(Answer { octets, token })
    }

    /// Counts within the running second.
    fn may_answer_about_zone(&self) -> bool {
        let second = self.started.elapsed().as_secs() << 32;
        let counted =
            self.about_zone.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |counter| {
                let count = if counter >> 32 << 32 == second { counter & 0xffff_ffff } else { 0 };
                (count < MOST_ABOUT_ZONE).then_some(second | (count + 1))
            });
        counted.is_ok()
    }

    fn seen(&self, token: Token, from: SocketAddr, to: IpAddr, protocol: &'static str) -> Seen {
        Seen {
            at: Timestamp::now(),
            token,
            canary: to,
            observed: from.ip(),
            observed_port: from.port(),
            port: 53,
            protocol,
            hop_limit: 0,
            raw: Box::default(),
            relayed: String::new(),
        }
    }
}

/// Answers the datagrams that come to one canary, for ever.
pub async fn serve_datagrams(
    authority: Arc<Authority>,
    socket: UdpSocket,
    canary: IpAddr,
    recorder: Recorder,
) {
    let mut room = [0; LONGEST + 1];
    loop {
        let Ok((count, from)) = socket.recv_from(&mut room).await else {
            // An ICMP error to an answer: of one asker, and it is past.
            tokio::task::yield_now().await;
            continue;
        };
        let asked = room.get(..count).unwrap_or_default();
        let Some(answer) = authority.answer(asked, from.ip(), canary, By::Datagram) else {
            continue;
        };
        if let Some(token) = answer.token {
            recorder.record(authority.seen(token, from, canary, "udp"));
        }
        let _ = socket.try_send_to(&answer.octets, from);
    }
}

/// Answers the connections that come to one canary, for ever.
pub async fn serve_streams(
    authority: Arc<Authority>,
    listener: TcpListener,
    canary: IpAddr,
    recorder: Recorder,
) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&authority.connections).try_acquire_owned() else { continue };
        let (authority, recorder) = (Arc::clone(&authority), recorder.clone());
        tokio::spawn(async move {
            let talk = talk(&authority, stream, from, canary, &recorder);
            let _ = tokio::time::timeout(CONNECTION_LIFE, talk).await;
            drop(permit);
        });
    }
}

/// Each message behind its length in two octets. RFC 1035 §4.2.2. The first without an answer ends it.
async fn talk(
    authority: &Authority,
    mut stream: TcpStream,
    from: SocketAddr,
    canary: IpAddr,
    recorder: &Recorder,
) -> std::io::Result<()> {
    for _ in 0..MOST_QUESTIONS {
        let length = usize::from(stream.read_u16().await?);
        if length > LONGEST {
            return Ok(());
        }
        let mut asked = vec![0; length];
        stream.read_exact(&mut asked).await?;
        let Some(answer) = authority.answer(&asked, from.ip(), canary, By::Stream) else {
            return Ok(());
        };
        if let Some(token) = answer.token {
            recorder.record(authority.seen(token, from, canary, "tcp"));
        }
        let mut framed = (answer.octets.len() as u16).to_be_bytes().to_vec();
        framed.extend_from_slice(&answer.octets);
        stream.write_all(&framed).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::egress::witness::tests::token;

    const CANARY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 10));
    const ASKER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

    fn authority() -> Authority {
        Authority::new(zone("w.example.net").unwrap(), EgressKey::from_bytes([7; 32]))
    }

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        let name = Name::from_ascii(name).unwrap();
        message.add_query(hickory_proto::op::Query::query(name, kind));
        message
    }

    fn say(message: &Message, by: By) -> Option<(Message, usize, usize)> {
        let asked = message.to_vec().unwrap();
        let answer = authority().answer(&asked, ASKER, CANARY, by)?;
        let read = Message::from_vec(&answer.octets).unwrap();
        Some((read, asked.len(), answer.octets.len()))
    }

    #[test]
    fn a_token_is_answered_in_the_case_it_was_asked_and_within_twice_its_length() {
        let token = token(Carrier::DnsUdp);
        let key = EgressKey::from_bytes([7; 32]);
        let mixed: String = token
            .label()
            .chars()
            .zip([true, false].into_iter().cycle())
            .map(|(letter, upper)| if upper { letter.to_ascii_uppercase() } else { letter })
            .collect();
        let name = format!("{mixed}.W.eXample.net.");
        for (kind, count) in
            [(RecordType::TXT, 1), (RecordType::A, 1), (RecordType::AAAA, 0), (RecordType::MX, 0)]
        {
            let (answer, asked, said) = say(&question(&name, kind), By::Datagram).unwrap();
            assert!(said <= 2 * asked, "{kind}: {said} for {asked}");
            assert_eq!(answer.queries[0].name.to_ascii(), name);
            assert_eq!(answer.answers.len(), count, "{kind}");
            assert!(answer.metadata.authoritative && answer.edns.is_none());
            if let Some(RData::TXT(text)) = answer.answers.first().map(|record| &record.data) {
                let told = text.txt_data[0].to_vec();
                assert_eq!(key.read_answer(token, &told), Some(ASKER));
                assert_eq!(answer.answers[0].ttl, 0);
            }
        }
        let mut with_edns = question(&name, RecordType::A);
        with_edns.set_edns(Edns::new());
        assert!(say(&with_edns, By::Datagram).unwrap().0.edns.is_some());
    }

    #[test]
    fn the_longest_answer_to_a_short_zone_is_truncated_in_a_datagram_alone() {
        let authority = Authority::new(zone("w.cn").unwrap(), EgressKey::from_bytes([7; 32]));
        let name = format!("{}.w.cn.", token(Carrier::DnsUdp).label());
        let asked = question(&name, RecordType::TXT).to_vec().unwrap();
        let observed = "2001:db8::7".parse().unwrap();
        let datagram = authority.answer(&asked, observed, CANARY, By::Datagram).unwrap();
        let stream = authority.answer(&asked, observed, CANARY, By::Stream).unwrap();
        assert!(datagram.octets.len() <= 2 * asked.len());
        assert!(Message::from_vec(&datagram.octets).unwrap().metadata.truncation);
        assert_eq!(Message::from_vec(&stream.octets).unwrap().answers.len(), 1);
    }

    #[test]
    fn the_zone_itself_is_answered_at_a_bounded_rate() {
        for kind in [RecordType::SOA, RecordType::NS, RecordType::A] {
            let (answer, _, _) = say(&question("w.example.net.", kind), By::Stream).unwrap();
            assert_eq!(answer.answers.len(), 1, "{kind}");
        }
        let authority = authority();
        let answered = (0..10_000).filter(|_| authority.may_answer_about_zone()).count();
        assert!(answered >= MOST_ABOUT_ZONE as usize && answered <= 3 * MOST_ABOUT_ZONE as usize);
    }

    #[test]
    fn everything_else_is_met_with_silence() {
        let label = token(Carrier::DnsUdp).label();
        let other = Token { bits: 5, field: Carrier::DnsUdp }.label();
        for name in [
            "example.net.".to_owned(),
            "x.w.example.net.".to_owned(),
            format!("{other}.w.example.net."),
            format!("{label}.example.net."),
            format!("a.{label}.w.example.net."),
            format!("{label}.w.example.com."),
        ] {
            assert_eq!(say(&question(&name, RecordType::A), By::Stream), None, "{name}");
        }
        let good = format!("{label}.w.example.net.");
        let mut response = question(&good, RecordType::A);
        response.metadata.message_type = MessageType::Response;
        assert_eq!(say(&response, By::Stream), None);
        let mut update = question(&good, RecordType::A);
        update.metadata.op_code = OpCode::Update;
        assert_eq!(say(&update, By::Stream), None);
        let mut chaos = question(&good, RecordType::A);
        chaos.queries[0].query_class = DNSClass::CH;
        assert_eq!(say(&chaos, By::Stream), None);
    }

    #[test]
    fn a_zone_is_a_name_with_room_for_a_token() {
        assert!(zone("w.example.net.").is_some());
        assert!(zone("").is_none());
        assert!(zone(&["a".repeat(60).as_str(); 4].join(".")).is_none());
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic_and_no_answer_is_longer_than_twice(
            mut octets in proptest::collection::vec(any::<u8>(), 0..120),
            shaped in any::<bool>(),
        ) {
            if shaped && octets.len() >= 12 {
                octets[2] &= 0x01;
                octets[4..10].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
            }
            if let Some(answer) = authority().answer(&octets, ASKER, CANARY, By::Datagram) {
                prop_assert!(answer.octets.len() <= 2 * octets.len());
            }
        }

        #[test]
        fn a_question_cut_or_changed_makes_no_panic(at in 0usize..60, with in any::<u8>()) {
            let name = format!("{}.w.example.net.", token(Carrier::DnsUdp).label());
            let mut octets = question(&name, RecordType::TXT).to_vec().unwrap();
            let _ = authority().answer(&octets[..at.min(octets.len())], ASKER, CANARY, By::Datagram);
            if let Some(octet) = octets.get_mut(at) {
                *octet = with;
            }
            if let Some(answer) = authority().answer(&octets, ASKER, CANARY, By::Datagram) {
                prop_assert!(answer.octets.len() <= 2 * octets.len());
            }
        }
    }
}
