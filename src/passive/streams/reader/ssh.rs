//! SSH (RFC 4253 §4.2): the identification of either side. Left: key exchange, and lines that a server says before.

use super::lines::line;
use super::{Head, Reader, Verdict, starts};
use crate::observe::Fact;

pub(super) struct Ssh;

/// RFC 4253 §4.2.
const MOST: usize = 255;

impl Reader for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn read(&self, head: &Head<'_>, _: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        match (starts(head.bytes, b"SSH-"), line(head.bytes)) {
            (Some(false), _) => Verdict::No,
            (Some(true), Some((banner, _))) if banner.len() <= MOST => {
                tell(head.spoken(head.role(), "ssh", Some(banner)));
                Verdict::Done
            }
            _ if head.bytes.len() > MOST => Verdict::Done,
            _ => Verdict::More(head.bytes.len().saturating_add(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::is_spoken;
    use crate::observe::Role;

    #[test]
    fn either_side_says_what_it_is() {
        for role in [Role::Client, Role::Server] {
            is_spoken(22, role, b"SSH-2.0-OpenSSH_9.4\r\n\0\0", "ssh", Some("SSH-2.0-OpenSSH_9.4"));
        }
    }
}
