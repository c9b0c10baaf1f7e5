//! VNC (RFC 6143 §7.1.1): the version that either side says first. Left: everything behind.

use super::{Head, Reader, Verdict, starts};
use crate::observe::Fact;

pub(super) struct Vnc;

impl Reader for Vnc {
    fn name(&self) -> &'static str {
        "vnc"
    }

    fn read(&self, head: &Head<'_>, _: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        match (starts(head.bytes, b"RFB 0"), head.bytes.first_chunk::<12>()) {
            (Some(false), _) => Verdict::No,
            (_, Some(version)) if version.ends_with(b"\n") => {
                tell(head.spoken(head.role(), "vnc", Some(version)));
                Verdict::Done
            }
            (_, Some(_)) => Verdict::No,
            (_, None) => Verdict::More(12),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::is_spoken;
    use crate::observe::Role;

    #[test]
    fn a_server_says_its_version() {
        is_spoken(5901, Role::Server, b"RFB 003.008\n\x01", "vnc", Some("RFB 003.008"));
    }
}
