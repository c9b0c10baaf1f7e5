//! DNS over TCP (RFC 7766): messages that came in more than one segment.
//!
//! What a single segment brings whole the dissector of frames has read already, in streams of any length; here is what it could not.

use super::{Head, Reader, Verdict};
use crate::observe::Fact;
use crate::passive::dissect::dns_of_stream;

pub(super) struct Dns;

const PORT: u16 = 53;
/// The length, and the header of a message.
const PREFIX: usize = 2;
const HEADER: usize = 12;

impl Reader for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        if !head.has_port(PORT) {
            return Verdict::No;
        }
        let Some((length, message)) = head.bytes.split_first_chunk::<PREFIX>() else {
            return Verdict::More(PREFIX);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length < HEADER {
            return Verdict::No;
        }
        let whole = length.saturating_add(PREFIX);
        let Some(message) = message.get(..length) else {
            // So it takes another segment.
            *said = 1;
            return Verdict::More(whole);
        };
        if std::mem::replace(said, 0) > 0 {
            dns_of_stream((head.from, head.to), message, tell);
        }
        Verdict::Took(whole)
    }
}
