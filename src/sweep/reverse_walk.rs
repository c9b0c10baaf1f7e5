//! Addresses that have a name: ip6.arpa walked nibble by nibble. A server that keeps to RFC 8020 says of a name with nothing
//! below it that it does not exist, and of one with something below that it does, though it has no data. So a /64 with one
//! name takes some 260 questions instead of 2^64.
//!
//! The walk is a state that asks and reads; whoever holds the socket carries the datagrams. Where a name that nobody would
//! have answers, everything does (a wildcard, a generated zone, a server that denies nothing): there it stops. It asks for
//! pointers, so the question at the bottom is already the one whose answer is a name.

use std::net::{IpAddr, Ipv6Addr};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::net::Prefix;
use crate::observe::{Fact, Foreign};

pub const PORT: u16 = 53;
/// Questions for one prefix: some eight names that share nothing, hundreds that stand in a row.
pub const MOST_QUESTIONS: usize = 2000;
/// Names of one prefix.
const MOST_NAMES: usize = 1024;
/// Nibbles of an address, and of a /64's prefix.
const WHOLE: u8 = 32;
const SUBNET: u8 = 16;

/// A name of ip6.arpa: the first so many nibbles of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    nibbles: u8,
    number: u128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Ask(Node),
    /// A drawn name below a node: if it exists, nothing below the node is worth asking.
    Check {
        below: Node,
        drawn: Node,
    },
}

/// The walk of one prefix with one server.
#[derive(Debug, Clone)]
pub struct Walk {
    server: IpAddr,
    prefix: Prefix,
    stack: Vec<Item>,
    left: usize,
    names: usize,
    state: u64,
    id: u16,
    /// Whether the server knows of anything there.
    pub is_known: bool,
}

/// What a datagram meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// No answer to the question that is out.
    NotOurs,
    /// Names, and on with the next question, if there is one.
    Read(Vec<Fact>),
}

impl Node {
    fn child(self, nibble: u8) -> Node {
        let nibbles = self.nibbles + 1;
        Node {
            nibbles,
            number: self.number | u128::from(nibble) << (4 * u32::from(WHOLE - nibbles)),
        }
    }

    fn prefix(self) -> Prefix {
        Prefix::of(Ipv6Addr::from_bits(self.number).into(), 4 * self.nibbles)
    }

    fn name(self) -> Option<Name> {
        let digits = format!("{:032x}", self.number);
        let own = digits.get(..usize::from(self.nibbles))?;
        let labels: String = own.chars().rev().flat_map(|digit| [digit, '.']).collect();
        Name::from_ascii(format!("{labels}ip6.arpa.")).ok()
    }
}

/// The name of ip6.arpa for a prefix, of its whole nibbles.
pub fn name_of(prefix: Prefix) -> Option<Name> {
    let nibbles = (prefix.length() / 4).min(WHOLE);
    let number = Prefix::of(prefix.first(), 4 * nibbles).first_number();
    Node { nibbles, number }.name()
}

impl Walk {
    /// `seed` draws the names that nobody has, and the numbers of questions.
    pub fn new(server: IpAddr, prefix: Prefix, seed: u64, left: usize) -> Walk {
        let nibbles = (prefix.length() / 4).min(WHOLE);
        let above = Prefix::of(prefix.first(), 4 * nibbles);
        let top = Node { nibbles, number: above.first_number() };
        let mut walk = Walk {
            server,
            prefix,
            stack: vec![Item::Ask(top)],
            left,
            names: 0,
            state: seed,
            id: 0,
            is_known: false,
        };
        walk.id = walk.draw() as u16;
        walk
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// Questions that may still be asked for the prefix.
    pub fn left(&self) -> usize {
        self.left
    }

    pub fn is_over(&self) -> bool {
        self.stack.is_empty() || self.left == 0 || self.names >= MOST_NAMES
    }

    fn current(&self) -> Option<Node> {
        match self.stack.last().filter(|_| !self.is_over())? {
            Item::Ask(node) => Some(*node),
            Item::Check { drawn, .. } => Some(*drawn),
        }
    }

    /// The next question; `None` where it is over.
    pub fn question(&mut self) -> Option<Vec<u8>> {
        let name = self.current()?.name()?;
        self.left -= 1;
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name, RecordType::PTR));
        message.to_vec().ok()
    }

    /// Nothing more is asked: the server is silent, or refuses.
    pub fn give_up(&mut self) {
        self.stack.clear();
    }

    pub fn read(&mut self, octets: &[u8]) -> Step {
        let Some(name) = self.current().and_then(Node::name) else { return Step::NotOurs };
        let Ok(message) = Message::from_vec(octets) else { return Step::NotOurs };
        let head = &message.metadata;
        let asked = message.queries.iter().all(|query| *query.name() == name);
        if head.id != self.id || head.message_type != MessageType::Response || !asked {
            return Step::NotOurs;
        }
        let exists = match head.response_code {
            ResponseCode::NoError => true,
            ResponseCode::NXDomain => false,
            _ => {
                self.give_up();
                return Step::Read(Vec::new());
            }
        };
        self.id = self.draw() as u16;
        let mut facts = Vec::new();
        match self.stack.pop() {
            Some(Item::Check { below, .. }) if exists => {
                let under = below.prefix();
                self.stack.retain(|item| match item {
                    Item::Ask(node) | Item::Check { below: node, .. } => {
                        !under.covers(node.prefix())
                    }
                });
            }
            Some(Item::Ask(node)) if exists => {
                self.is_known = true;
                if node.nibbles >= WHOLE {
                    facts = self.names_of(node, &message);
                } else {
                    self.descend(node);
                }
            }
            _ => {}
        }
        Step::Read(facts)
    }

    fn descend(&mut self, node: Node) {
        let children = (0..16).rev().map(|nibble| node.child(nibble));
        let prefix = self.prefix;
        self.stack.extend(children.filter(|child| prefix.overlaps(child.prefix())).map(Item::Ask));
        let is_top = u16::from(node.nibbles) * 4 + 4 > u16::from(prefix.length());
        let is_first = is_top && node.nibbles == prefix.length() / 4;
        if is_first || node.nibbles == SUBNET {
            let wide = u128::from(self.draw()) << 64 | u128::from(self.draw());
            // The part of the prefix that the walk is for, where it is no whole nibble.
            let within = if is_first { prefix } else { node.prefix() };
            let number =
                within.first_number() | wide & (within.last_number() ^ within.first_number());
            let drawn = Node { nibbles: WHOLE, number };
            self.stack.push(Item::Check { below: node, drawn });
        }
    }

    fn names_of(&mut self, node: Node, message: &Message) -> Vec<Fact> {
        let ip = IpAddr::V6(Ipv6Addr::from_bits(node.number));
        let mut facts = Vec::new();
        for record in &message.answers {
            if let RData::PTR(pointer) = &record.data {
                let text = pointer.0.to_ascii();
                let name = Foreign::new(text.trim_end_matches('.'));
                self.names += 1;
                facts.push(Fact::PointerName { by: self.server, ip, name });
            }
        }
        facts.truncate(4);
        facts
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::PTR;
    use proptest::prelude::*;

    use super::*;

    /// A server that keeps to RFC 8020, with these names.
    fn answer(question: &[u8], names: &[(&str, &str)]) -> Vec<u8> {
        let question = Message::from_vec(question).unwrap();
        let asked = question.queries[0].name().clone();
        let mut message = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
        message.add_query(question.queries[0].clone());
        let mut exists = false;
        for (ip, name) in names {
            let ip: Ipv6Addr = ip.parse().unwrap();
            let whole = Node { nibbles: WHOLE, number: ip.to_bits() }.name().unwrap();
            if asked == whole {
                let data = RData::PTR(PTR(Name::from_ascii(name).unwrap()));
                message.add_answer(Record::from_rdata(whole.clone(), 0, data));
            }
            exists |= asked.zone_of(&whole);
        }
        if !exists {
            message.metadata.response_code = ResponseCode::NXDomain;
        }
        message.to_vec().unwrap()
    }

    fn walk(prefix: &str, names: &[(&str, &str)]) -> (Vec<String>, usize) {
        let mut walk =
            Walk::new("10.0.0.53".parse().unwrap(), prefix.parse().unwrap(), 7, MOST_QUESTIONS);
        let mut found = Vec::new();
        while let Some(question) = walk.question() {
            let Step::Read(facts) = walk.read(&answer(&question, names)) else { panic!("ours") };
            found.extend(facts.into_iter().map(|fact| match fact {
                Fact::PointerName { ip, name, .. } => format!("{ip} {}", name.raw()),
                other => panic!("{other:?}"),
            }));
        }
        (found, MOST_QUESTIONS - walk.left())
    }

    #[test]
    fn names_are_found_wherever_they_are() {
        let names = [
            ("fd00:2::7", "low.example."),
            ("fd00:2::7c1:9a3d:d21f:4e77", "drawn.example."),
            ("fd00:3::1", "elsewhere.example."),
        ];
        let (found, questions) = walk("fd00:2::/64", &names);
        assert_eq!(found, ["fd00:2::7 low.example", "fd00:2::7c1:9a3d:d21f:4e77 drawn.example"]);
        assert!(questions < 520, "{questions}");
        assert_eq!(walk("fd00:9::/64", &names), (Vec::new(), 1));
    }

    #[test]
    fn a_prefix_that_is_no_whole_nibble_stays_inside() {
        let names = [("fd00:2:0:4::1", "in.example."), ("fd00:2:0:8::1", "out.example.")];
        let (found, _) = walk("fd00:2:0:4::/62", &names);
        assert_eq!(found, ["fd00:2:0:4::1 in.example"]);
    }

    #[test]
    fn where_everything_has_a_name_it_stops() {
        let server = "10.0.0.53".parse().unwrap();
        let mut walk = Walk::new(server, "fd00:2::/64".parse().unwrap(), 7, MOST_QUESTIONS);
        let mut questions = 0;
        while let Some(question) = walk.question() {
            let asked = Message::from_vec(&question).unwrap();
            let mut any = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
            any.add_query(asked.queries[0].clone());
            assert_eq!(walk.read(&any.to_vec().unwrap()), Step::Read(Vec::new()));
            questions += 1;
        }
        assert_eq!(questions, 2);
    }

    #[test]
    fn the_bound_holds_and_another_answer_is_none() {
        let server = "10.0.0.53".parse().unwrap();
        let prefix: Prefix = "fd00:2::/64".parse().unwrap();
        let mut walk = Walk::new(server, prefix, 7, 3);
        let first = walk.question().unwrap();
        let names = [("fd00:2::7", "low.example.")];
        let mut other = answer(&first, &names);
        other[0] ^= 1;
        assert_eq!(walk.read(&other), Step::NotOurs);
        assert_eq!(walk.read(&first), Step::NotOurs, "a question is no answer");
        assert!(matches!(walk.read(&answer(&first, &names)), Step::Read(_)));
        assert!(walk.question().is_some() && walk.question().is_some());
        assert!(walk.question().is_none() && walk.is_over());
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut walk = Walk::new("::1".parse().unwrap(), "fd00::/48".parse().unwrap(), 1, 9);
            let _ = walk.question();
            let _ = walk.read(&octets);
        }
    }
}
