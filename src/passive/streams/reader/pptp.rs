//! PPTP's control connection (RFC 2637 §2.1, §2.2): who starts it. Taken: host name and vendor. Left: calls.

use super::{Head, Reader, Verdict};
use crate::observe::{Fact, Role};

pub(super) struct Pptp;

const MESSAGE: usize = 156;
const MAGIC: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];

impl Reader for Pptp {
    fn name(&self) -> &'static str {
        "pptp"
    }

    fn read(&self, head: &Head<'_>, _: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        let fits = [0, 156, 0, 1, MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], 0];
        let common = head.bytes.len().min(fits.len());
        if head.bytes.get(..common) != fits.get(..common) {
            return Verdict::No;
        }
        let Some(message) = head.bytes.get(..MESSAGE) else { return Verdict::More(MESSAGE) };
        let role = match message.get(9) {
            Some(1) => Role::Client,
            Some(2) => Role::Server,
            _ => return Verdict::No,
        };
        let until_zero = |part: Option<&[u8]>| -> Vec<u8> {
            part.unwrap_or_default().iter().copied().take_while(|octet| *octet != 0).collect()
        };
        let names = [until_zero(message.get(28..92)), until_zero(message.get(92..156))];
        let says = names.join(&b" / "[..]);
        tell(head.spoken(role, "pptp", Some(&says)));
        Verdict::Done
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::is_spoken;
    use super::*;

    #[test]
    fn a_server_says_its_host_and_vendor() {
        let mut message = [&[0, 156, 0, 1][..], &MAGIC, &[0, 2, 0, 0]].concat();
        message.resize(28, 0);
        message.extend_from_slice(b"gate");
        message.resize(92, 0);
        message.extend_from_slice(b"MikroTik");
        message.resize(156, 0);
        is_spoken(1723, Role::Server, &message, "pptp", Some("gate / MikroTik"));
    }
}
