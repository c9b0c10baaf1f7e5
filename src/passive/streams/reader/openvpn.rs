//! OpenVPN over TCP: the TLS hellos inside its control channel, where that is not encrypted itself.
//!
//! Each packet stands behind its length (two octets): opcode and key, the sender's session, with tls-auth a digest, a packet id and a
//! time, then acknowledgements and, in control packets, the message's number and a piece of the TLS stream. Whether there is a digest,
//! and of what size, nothing says: the place of the first TLS record does. That the tunnel is there the dissector of frames tells.

use super::{Head, Reader, Verdict, client_fact, server_fact};
use crate::observe::Fact;
use crate::wire::tls::{self, ClientHello, ServerHello};
use crate::wire::{Cursor, WireError, marks};

pub(super) struct OpenVpn;

const CONTROL: u8 = 4;
const ACKNOWLEDGEMENT: u8 = 5;
const RESETS: [u8; 3] = [7, 8, 10];
/// Without tls-auth nothing; with it the digest of MD5, SHA-1, SHA-256 or SHA-512, and eight octets.
const BEFORE: [usize; 5] = [0, 16 + 8, 20 + 8, 32 + 8, 64 + 8];
/// Acknowledgements in one packet.
const MOST_ACKNOWLEDGED: u8 = 8;

impl Reader for OpenVpn {
    fn name(&self) -> &'static str {
        "openvpn"
    }

    fn read(&self, head: &Head<'_>, _: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        let Some(&[_, _, first, ..]) = head.bytes.first_chunk::<3>() else {
            return if head.has_port(marks::OPENVPN_PORT) { Verdict::More(3) } else { Verdict::No };
        };
        // A connection begins with a hard reset.
        if !RESETS.contains(&(first >> 3)) || first & 7 != 0 {
            return Verdict::No;
        }
        let over = match head.has_port(marks::OPENVPN_PORT) {
            true => marks::Over::ItsPort,
            false => marks::Over::AnyPort,
        };
        if !marks::is_openvpn_stream(head.bytes, over) {
            return Verdict::No;
        }
        let mut cursor = Cursor::new("openvpn", head.bytes);
        let (mut stream, mut next) = (Vec::new(), None);
        while let Ok(packet) = packet(&mut cursor) {
            let opcode = packet.first().map(|octet| octet >> 3);
            match opcode {
                Some(CONTROL) => {}
                Some(ACKNOWLEDGEMENT) => continue,
                Some(reset) if RESETS.contains(&reset) => continue,
                // Data: what was to be said was said.
                _ => return Verdict::Done,
            }
            let pieces = BEFORE.iter().filter_map(|before| piece(packet, *before));
            // The first piece begins a record; those behind it have the number that follows.
            let wanted = |(number, piece): &(u32, &[u8])| match next {
                None => piece.len() > 5 && tls::starts_record(piece),
                Some(next) => *number == next,
            };
            let Some((number, piece)) = pieces.into_iter().find(wanted) else {
                return Verdict::Done;
            };
            stream.extend_from_slice(piece);
            next = Some(number.wrapping_add(1));
        }
        let taken = tls::handshake(&stream);
        if let Some(message) = tls::messages(&taken.bytes).next().filter(|message| message.complete)
        {
            match message.kind {
                tls::CLIENT_HELLO => {
                    if let Ok(hello) = ClientHello::read(message.body) {
                        tell(client_fact(&hello, "tcp", head.from, head.to));
                    }
                }
                tls::SERVER_HELLO => {
                    if let Ok(hello) = ServerHello::read(message.body) {
                        tell(server_fact(hello, "tcp", head.from));
                    }
                }
                _ => {}
            }
            return Verdict::Done;
        }
        if taken.ended { Verdict::Done } else { Verdict::More(head.bytes.len().saturating_add(1)) }
    }
}

fn packet<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], WireError> {
    let length = cursor.u16()?;
    cursor.take(usize::from(length))
}

/// The number of a control packet and its piece of the stream, if so many octets stand before the acknowledgements.
fn piece(packet: &[u8], before: usize) -> Option<(u32, &[u8])> {
    let mut cursor = Cursor::new("openvpn", packet);
    cursor.skip(9).ok()?;
    cursor.skip(before).ok()?;
    let acknowledged = cursor.u8().ok().filter(|count| *count <= MOST_ACKNOWLEDGED)?;
    if acknowledged > 0 {
        cursor.skip(usize::from(acknowledged).saturating_mul(4).saturating_add(8)).ok()?;
    }
    let number = cursor.u32().ok()?;
    Some((number, cursor.rest()))
}
