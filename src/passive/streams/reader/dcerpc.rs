//! DCE/RPC over TCP (C706 §12, MS-RPCE): that it is spoken, and the names in NTLM messages of a bind. Left: interfaces and calls.

use super::{Head, Reader, Verdict};
use crate::observe::{Fact, Role};

pub(super) struct Dcerpc;

const BIND: u8 = 11;
const BIND_ACK: u8 = 12;
const ALTER_CONTEXT: u8 = 14;
const AUTH3: u8 = 16;

impl Reader for Dcerpc {
    fn name(&self) -> &'static str {
        "dcerpc"
    }

    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        let Some(&[5, 0 | 1, kind, _, order, 0, 0, 0, a, b]) = head.bytes.first_chunk::<10>()
        else {
            let may_be = matches!(head.bytes, [5] | [5, 0 | 1] | [5, 0 | 1, BIND | BIND_ACK, ..])
                && head.bytes.len() < 10;
            return if may_be { Verdict::More(10) } else { Verdict::No };
        };
        let length = match order {
            0x10 => u16::from_le_bytes([a, b]),
            0x00 => u16::from_be_bytes([a, b]),
            _ => return Verdict::No,
        };
        let length = usize::from(length);
        let role = match kind {
            BIND => Role::Client,
            BIND_ACK => Role::Server,
            ALTER_CONTEXT | AUTH3 if *said > 0 => Role::Client,
            _ if *said > 0 => return Verdict::Done,
            _ => return Verdict::No,
        };
        if length < 24 {
            return Verdict::No;
        }
        let Some(message) = head.bytes.get(..length) else { return Verdict::More(length) };
        if std::mem::replace(said, 1) == 0 {
            tell(head.spoken(role, "dcerpc", None));
        }
        if head.ntlm(message, tell) { Verdict::Done } else { Verdict::Took(length) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::said;
    use super::*;
    use crate::wire::ntlm::check::challenge;

    #[test]
    fn a_bind_is_presence_and_its_answer_may_name_the_server() {
        let body = challenge("DC1", "PURP");
        let length = (16 + body.len()) as u16;
        let mut answer = vec![5, 0, BIND_ACK, 3, 0x10, 0, 0, 0];
        answer.extend_from_slice(&length.to_le_bytes());
        answer.resize(16, 0);
        answer.extend_from_slice(&body);
        let told = said(135, Role::Server, &answer);
        assert!(matches!(&told[..], [Fact::Spoken(_), Fact::NtlmServer(_)]), "{told:?}");
    }
}
