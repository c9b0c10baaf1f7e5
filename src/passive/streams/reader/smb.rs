//! SMB over TCP and NetBIOS (MS-SMB2, MS-CIFS, RFC 1002 §4.3): what servers choose, and who says who it is.
//!
//! Taken: of a negotiate response the dialect and the server's GUID; native OS and LAN manager of SMB 1's session setup; the
//! names in NTLM messages. Left: shares and files, responses to challenges, encrypted and compressed messages.

use super::{Head, Reader, Verdict};
use crate::observe::{Fact, Foreign, Role, SmbSpeaker};
use crate::wire::ntlm::utf16;
use crate::wire::{Cursor, WireError};

pub(super) struct Smb;

/// A negotiate or session setup is never longer than this, by far.
const MOST_MESSAGE: usize = 8000;
/// Beyond session setup (1) and logoff (2) nothing names anybody.
const LAST_COMMAND: u16 = 2;
const RESPONSE: u32 = 1;
const SMB1_NEGOTIATE: u8 = 0x72;
const SMB1_SESSION_SETUP: u8 = 0x73;

impl Reader for Smb {
    fn name(&self) -> &'static str {
        "smb"
    }

    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        let Some(&[kind, high, b, c]) = head.bytes.first_chunk::<4>() else {
            return match head.bytes.first() {
                Some(0 | 0x81 | 0x82 | 0x83) => Verdict::More(4),
                _ => Verdict::No,
            };
        };
        let length = usize::from(high) << 16 | usize::from(u16::from_be_bytes([b, c]));
        let whole = length.saturating_add(4);
        match kind {
            0 if length >= 32 => {}
            // NetBIOS: a session is asked for, granted, refused.
            0x81 if length <= 256 && head.has_port(139) => return Verdict::Took(whole),
            0x82 if length == 0 && head.has_port(139) => return Verdict::Took(whole),
            0 if length == 0 && *said > 0 => return Verdict::Took(whole),
            _ => return Verdict::No,
        }
        match head.bytes.get(4..8) {
            None => return Verdict::More(8),
            Some([0xff | 0xfe, b'S', b'M', b'B']) => {}
            Some(_) if *said > 0 => return Verdict::Done,
            Some(_) => return Verdict::No,
        }
        if length > MOST_MESSAGE {
            return Verdict::Done;
        }
        let Some(message) = head.bytes.get(4..whole) else { return Verdict::More(whole) };
        *said = said.saturating_add(1);
        let read = match message.first() {
            Some(0xfe) => smb2(head, message, tell),
            _ => smb1(head, message, tell),
        };
        match read {
            Ok(true) => Verdict::Took(whole),
            _ => Verdict::Done,
        }
    }
}

/// Whether messages may follow that say something.
fn smb2(head: &Head<'_>, message: &[u8], tell: &mut dyn FnMut(Fact)) -> Result<bool, WireError> {
    let mut cursor = Cursor::new("smb", message);
    cursor.skip(12)?;
    let command = cursor.array().map(u16::from_le_bytes)?;
    cursor.skip(2)?;
    let flags = cursor.array().map(u32::from_le_bytes)?;
    cursor.skip(44)?;
    let is_response = flags & RESPONSE != 0;
    match command {
        // MS-SMB2 §2.2.4.
        0 if is_response => {
            cursor.skip(4)?;
            let dialect = cursor.array().map(u16::from_le_bytes)?;
            cursor.skip(2)?;
            let guid: [u8; 16] = cursor.array()?;
            tell(Fact::Smb(SmbSpeaker {
                ip: head.speaker(),
                port: head.port(Role::Server),
                dialect: Some(format!("{dialect:#06x}")),
                server_guid: Some(uuid::Uuid::from_bytes_le(guid).to_string()),
                native_os: None,
                native_lanman: None,
            }));
        }
        1 => {
            head.ntlm(cursor.rest(), tell);
        }
        _ => {}
    }
    Ok(command <= LAST_COMMAND)
}

fn smb1(head: &Head<'_>, message: &[u8], tell: &mut dyn FnMut(Fact)) -> Result<bool, WireError> {
    let mut cursor = Cursor::new("smb", message);
    cursor.skip(4)?;
    let command = cursor.u8()?;
    cursor.skip(4)?;
    let flags = cursor.u8()?;
    let flags2 = cursor.array().map(u16::from_le_bytes)?;
    cursor.skip(20)?;
    let is_response = flags & 0x80 != 0;
    let role = if is_response { Role::Server } else { Role::Client };
    let width = if flags2 & 0x8000 != 0 { Width::Wide } else { Width::Narrow };
    let words = usize::from(cursor.u8()?);
    let mut parameters = cursor.part(words.saturating_mul(2))?;
    let octets = cursor.array().map(u16::from_le_bytes)?;
    let data = cursor.take_up_to(usize::from(octets));
    match command {
        SMB1_NEGOTIATE if is_response && words == 17 => {
            // With extended security the server's GUID comes first. MS-SMB §2.2.4.5.2.1.
            parameters.skip(19)?;
            let capabilities = parameters.array().map(u32::from_le_bytes)?;
            let guid =
                (capabilities & 0x8000_0000 != 0).then(|| data.first_chunk::<16>()).flatten();
            tell(Fact::Smb(SmbSpeaker {
                ip: head.speaker(),
                port: head.port(Role::Server),
                dialect: Some("NT LM 0.12".to_owned()),
                server_guid: guid.map(|guid| uuid::Uuid::from_bytes_le(*guid).to_string()),
                native_os: None,
                native_lanman: None,
            }));
        }
        SMB1_SESSION_SETUP => {
            head.ntlm(data, tell);
            natives(head, (words, role), width, &mut parameters, data, tell);
        }
        _ => {}
    }
    Ok(matches!(command, SMB1_NEGOTIATE | SMB1_SESSION_SETUP))
}

/// Of the characters of a text: UTF-16 or one octet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Wide,
    Narrow,
}

/// Native OS and LAN manager, the texts at the end of a session setup.
fn natives(
    head: &Head<'_>,
    (words, role): (usize, Role),
    width: Width,
    parameters: &mut Cursor<'_>,
    data: &[u8],
    tell: &mut dyn FnMut(Fact),
) {
    // What stands before the texts: the blob of extended security (12 words of a request, 4 of a response), or two
    // responses to a challenge (13 words of a request).
    let mut numbers = Vec::with_capacity(16);
    while let Ok(number) = parameters.array().map(u16::from_le_bytes) {
        numbers.push(usize::from(number));
    }
    let number = |place: usize| numbers.get(place).copied().unwrap_or(0);
    let (before, skipped) = match (words, role) {
        (12, Role::Client) => (number(7), 0),
        (13, Role::Client) => (number(7).saturating_add(number(8)), 2),
        (4, Role::Server) => (number(3), 0),
        (3, Role::Server) => (0, 0),
        _ => return,
    };
    // Wide text starts at an even place of the message, so at an odd one of the data (33 octets and the words before).
    let padding = usize::from(width == Width::Wide && before & 1 == 0);
    let Some(rest) = data.get(before.saturating_add(padding)..) else { return };
    let mut texts = texts(rest, width).skip(skipped);
    let native_os = texts.next().filter(|text| !text.is_empty());
    let native_lanman = texts.next().filter(|text| !text.is_empty());
    if native_os.is_some() || native_lanman.is_some() {
        tell(Fact::Smb(SmbSpeaker {
            ip: head.speaker(),
            port: head.port(role),
            dialect: None,
            server_guid: None,
            native_os: native_os.map(|text| Foreign::new(&text)),
            native_lanman: native_lanman.map(|text| Foreign::new(&text)),
        }));
    }
}

/// Texts that each end with a zero.
fn texts(bytes: &[u8], width: Width) -> impl Iterator<Item = String> {
    let texts: Vec<String> = match width {
        Width::Wide => utf16(bytes).split('\0').take(8).map(str::to_owned).collect(),
        Width::Narrow => {
            String::from_utf8_lossy(bytes).split('\0').take(8).map(str::to_owned).collect()
        }
    };
    texts.into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::check::said;
    use super::*;
    use crate::wire::ntlm::check::challenge;

    fn message(command: u16, body: &[u8]) -> Vec<u8> {
        let mut header = b"\xfeSMB\x40\0\0\0\0\0\0\0".to_vec();
        header.extend_from_slice(&command.to_le_bytes());
        header.extend_from_slice(&[0, 0, 1, 0, 0, 0]);
        header.resize(64, 0);
        let length = ((header.len() + body.len()) as u32).to_be_bytes();
        [&length[..], &header, body].concat()
    }

    #[test]
    fn a_server_says_its_dialect_and_its_names() {
        let mut negotiate = vec![0x41, 0, 1, 0, 0x11, 3, 0, 0];
        negotiate.extend_from_slice(&[7; 16]);
        let bytes = [message(0, &negotiate), message(1, &challenge("DC1", "PURP"))].concat();
        let told = said(445, Role::Server, &bytes);
        let [Fact::Smb(smb), Fact::NtlmServer(ntlm)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(smb.dialect.as_deref(), Some("0x0311"));
        assert_eq!(smb.server_guid.as_deref(), Some("07070707-0707-0707-0707-070707070707"));
        assert_eq!(ntlm.netbios_domain.raw(), "PURP");
    }
}
