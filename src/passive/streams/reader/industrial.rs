//! Modbus/TCP (Modbus Messaging on TCP/IP, MBAP): that it is spoken, on its port alone, for its header says too little. S7 is
//! read with RDP, whose envelope it shares. Left: registers.

use super::{Head, Reader, Verdict};
use crate::observe::Fact;

pub(super) struct Industrial;

const MODBUS: u16 = 502;
const HEADER: usize = 8;

impl Reader for Industrial {
    fn name(&self) -> &'static str {
        "industrial"
    }

    fn read(&self, head: &Head<'_>, _: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        if !head.has_port(MODBUS) {
            return Verdict::No;
        }
        let Some(&[_, _, 0, 0, 0, length @ 2..=254, _, function]) =
            head.bytes.first_chunk::<HEADER>()
        else {
            return if head.bytes.len() < HEADER { Verdict::More(HEADER) } else { Verdict::No };
        };
        // Functions of users end at 110; an answer may say that it is none, by the highest bit.
        if function & 0x7f == 0 || function & 0x7f > 110 || length == 2 && function & 0x80 != 0 {
            return Verdict::No;
        }
        tell(head.spoken(head.role(), "modbus", None));
        Verdict::Done
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::is_spoken;
    use crate::observe::Role;

    #[test]
    fn a_read_of_registers_is_presence() {
        is_spoken(502, Role::Client, &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1], "modbus", None);
    }
}
