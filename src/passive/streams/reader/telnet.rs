//! Telnet (RFC 854, 855): that options are negotiated. Left: everything typed and shown, which holds passwords.

use super::{Head, Reader, Verdict};
use crate::observe::Fact;

pub(super) struct Telnet;

impl Reader for Telnet {
    fn name(&self) -> &'static str {
        "telnet"
    }

    fn read(&self, head: &Head<'_>, _: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        match head.bytes {
            // WILL, WONT, DO, DONT; the options that are registered below the extended ones.
            [0xff, 0xfb..=0xfe, ..=0x31, ..] => {
                tell(head.spoken(head.role(), "telnet", None));
                Verdict::Done
            }
            [0xff] | [0xff, 0xfb..=0xfe] => Verdict::More(3),
            _ => Verdict::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::is_spoken;
    use crate::observe::Role;

    #[test]
    fn negotiation_is_presence() {
        is_spoken(23, Role::Server, &[0xff, 0xfd, 0x18, 0xff, 0xfd, 0x20], "telnet", None);
    }
}
