//! QUIC's handshake: the hellos in the Initial packets of both sides.
//!
//! The client's keys come from the connection id of its first packet; the server's from the same, so a server's hello is read only
//! where the client's packet was seen. A hello may come in several packets and in any order (browsers do so on purpose).
//!
//! **Bounds.** [`MOST`] conversations, the oldest gives way. Of each side [`MOST_HELLO`] octets in [`MOST_PIECES`] pieces; what does not
//! fit ends the side. A side that said its hello costs a probe; after [`MOST_TRIES`] packets that do not open so does the conversation.

use std::collections::{HashMap, VecDeque};

use super::reader::{client_fact, server_fact};
use super::{End, Tag};
use crate::observe::Fact;
use crate::wire::quic::{self, Initial, Keys, Sender};
use crate::wire::tls::{self, ClientHello, ServerHello};

/// Conversations at a time: their handshakes last some hundred milliseconds each. A guess.
const MOST: usize = 1024;
/// Hellos with post-quantum key shares have some 1,800 octets.
const MOST_HELLO: usize = 8192;
const MOST_PIECES: usize = 64;
/// Packets of one conversation that did not open or said nothing new.
const MOST_TRIES: u8 = 16;
/// A client's first packet fills a datagram of this size. RFC 9000 §14.1.
const FIRST_DATAGRAM: usize = 1200;
/// A client's first connection id has at least so many octets. RFC 9000 §7.2.
const FIRST_ID: usize = 8;

struct Conversation {
    keys: [Option<Keys>; 2],
    sides: [Side; 2],
    tries: u8,
}

/// What one side has said so far.
#[derive(Debug, Default)]
struct Side {
    pieces: Vec<(usize, Vec<u8>)>,
    is_done: bool,
}

#[derive(Default)]
pub(super) struct Quic {
    known: HashMap<Tag, Conversation>,
    order: VecDeque<Tag>,
}

impl std::fmt::Debug for Quic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quic").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Conversation {
    fn new(initial: &Initial<'_>) -> Conversation {
        let keys = [Sender::Client, Sender::Server]
            .map(|sender| Keys::new(initial.version, initial.destination_id, sender));
        Conversation { keys, sides: Default::default(), tries: 0 }
    }

    /// Opens a side's packet and adds what is in it. Whether it opened.
    fn add(&mut self, sender: Sender, initial: &Initial<'_>) -> bool {
        let [client, server] = &self.keys;
        let keys = if sender == Sender::Client { client } else { server };
        let Some(frames) = keys.as_ref().and_then(|keys| keys.open(initial)) else { return false };
        let [client, server] = &mut self.sides;
        let side = if sender == Sender::Client { client } else { server };
        for (offset, piece) in quic::crypto(&frames) {
            side.add(offset, piece);
        }
        true
    }
}

impl Side {
    fn add(&mut self, offset: u64, piece: &[u8]) {
        let end = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(piece.len()));
        match (usize::try_from(offset), end) {
            (Ok(offset), Some(..=MOST_HELLO)) if self.pieces.len() < MOST_PIECES => {
                let known = self
                    .pieces
                    .iter()
                    .any(|(at, known)| *at == offset && known.len() >= piece.len());
                if !known {
                    self.pieces.push((offset, piece.to_vec()));
                }
            }
            // The hello is read already, or it never will be.
            _ => {}
        }
    }

    /// The octets from the beginning on, as far as there is no gap.
    fn bytes(&mut self) -> Vec<u8> {
        self.pieces.sort_unstable_by_key(|(offset, _)| *offset);
        let mut bytes = Vec::new();
        for (offset, piece) in &self.pieces {
            let Some(known) = bytes.len().checked_sub(*offset) else { break };
            bytes.extend_from_slice(piece.get(known..).unwrap_or_default());
        }
        bytes
    }
}

impl Quic {
    /// A datagram whose first packet is an Initial. The tags are those of its direction and of the other.
    pub(super) fn take(
        &mut self,
        (there, back): (Tag, Tag),
        (from, to): (End, End),
        datagram: &[u8],
        tell: &mut dyn FnMut(Fact),
    ) {
        let (tag, sender) = if self.known.contains_key(&back) {
            (back, Sender::Server)
        } else {
            (there, Sender::Client)
        };
        let is_over = self.known.get(&tag).is_some_and(|known| {
            // A client's packets are of use until the server has spoken: after a Retry they bring other keys.
            let [_, server] = &known.sides;
            server.is_done || known.tries >= MOST_TRIES
        });
        if is_over {
            return;
        }
        for initial in quic::initials(datagram) {
            if !self.known.contains_key(&tag) {
                if datagram.len() < FIRST_DATAGRAM || initial.destination_id.len() < FIRST_ID {
                    return;
                }
                self.make_room();
                self.known.insert(tag, Conversation::new(&initial));
                self.order.push_back(tag);
            }
            let Some(conversation) = self.known.get_mut(&tag) else { return };
            conversation.tries = conversation.tries.saturating_add(1);
            let mut opened = conversation.add(sender, &initial);
            // After a Retry the client goes on to another id. RFC 9001 §5.2.
            if !opened && sender == Sender::Client {
                let mut anew = Conversation::new(&initial);
                anew.tries = conversation.tries;
                opened = anew.add(sender, &initial);
                if opened {
                    let [client, _] = &conversation.sides;
                    if client.is_done {
                        let [said, _] = &mut anew.sides;
                        said.is_done = true;
                    }
                    *conversation = anew;
                }
            }
            if opened {
                conversation.say(sender, (from, to), tell);
            }
        }
    }

    fn make_room(&mut self) {
        if self.known.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Conversation {
    fn say(&mut self, sender: Sender, (from, to): (End, End), tell: &mut dyn FnMut(Fact)) {
        let [client, server] = &mut self.sides;
        let side = if sender == Sender::Client { client } else { server };
        if side.is_done {
            return;
        }
        let bytes = side.bytes();
        let Some(message) = tls::messages(&bytes).next().filter(|message| message.complete) else {
            return;
        };
        side.is_done = true;
        side.pieces = Vec::new();
        match (sender, message.kind) {
            (Sender::Client, tls::CLIENT_HELLO) => {
                if let Ok(hello) = ClientHello::read(message.body) {
                    tell(client_fact(&hello, "quic", from, to));
                }
            }
            (Sender::Server, tls::SERVER_HELLO) => {
                if let Ok(hello) = ServerHello::read(message.body) {
                    tell(server_fact(hello, "quic", from));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_in_pieces_is_put_together() {
        let mut side = Side::default();
        side.add(6, b"ghi");
        side.add(0, b"abcd");
        assert_eq!(side.bytes(), b"abcd");
        side.add(2, b"cdef");
        side.add(u64::MAX, b"x");
        assert_eq!(side.bytes(), b"abcdefghi");
    }

    #[test]
    fn a_flood_of_first_packets_is_bounded() {
        let mut quic = Quic::default();
        let ends = (([10, 20, 1, 5].into(), 5000), ([203, 0, 113, 9].into(), 443));
        let mut datagram = vec![0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x80];
        datagram.resize(1200, 9);
        for number in 1..3000u64 {
            quic.take((Tag(number), Tag(number << 32)), ends, &datagram, &mut |_| panic!());
        }
        assert_eq!((quic.known.len(), quic.order.len()), (MOST, MOST));
    }
}
