//! Frames in by a packet socket of our own with a TPACKET_V3 ring.
//!
//! The kernel lays frames one behind the other into blocks and hands over a block when it is full
//! or [`Options::hold`] has passed: no system call a frame, and none at all while we are behind. We read
//! what the kernel wrote about each frame as numbers at fixed places, bounded by the block, so even
//! a kernel that lies cannot make us read past it.

use std::mem::offset_of;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use libc::{sockaddr_ll, tpacket_block_desc, tpacket_hdr_v1, tpacket_hdr_variant1, tpacket3_hdr};

use super::attachment::Attachment;
use super::sys::packet::{Hear, PacketSocket};
use super::sys::poll;
use super::sys::ring::{Ring, Shape};
use super::{Captured, LinkError, Options, Outgoing, Receive};

/// A block is no smaller, so that a busy link fills it in no less than 50 µs at 10 Gbit/s.
const LEAST_BLOCK: u32 = 64 << 10;
/// A block is no larger: what the kernel may have to find in one piece.
const MOST_BLOCK: u32 = 1 << 20;
/// A block's descriptor and a frame's header with its address, rounded up.
const BLOCK_OVERHEAD: u32 = 256;

pub(super) fn open_receive(
    interface: &str,
    options: &Options,
) -> Result<Box<dyn Receive>, LinkError> {
    let attachment = Attachment::find(interface)?;
    let fail = |what| move |error| LinkError::of(interface, what, error);
    let socket = PacketSocket::open().map_err(fail("open a packet socket"))?;
    socket.attach(&options.filter.program(options.snap)).map_err(fail("attach the filter"))?;
    // Where the kernel does not know the option, its own frames are left out at the reading.
    let silent = options.outgoing == Outgoing::Ignored;
    if silent {
        let _ = socket.ignore_outgoing();
    }
    if options.promiscuous {
        socket.join_promiscuous(attachment.index()).map_err(fail("listen promiscuously"))?;
    }
    let block_size = options
        .snap
        .saturating_add(BLOCK_OVERHEAD)
        .clamp(LEAST_BLOCK, MOST_BLOCK)
        .next_power_of_two();
    let blocks = options.ring.div_ceil(block_size as usize).clamp(2, 1 << 16) as u32;
    let shape = Shape { block_size, blocks, retire: milliseconds(options.hold) };
    let ring = Ring::lay(socket, shape).map_err(fail("lay out a packet ring"))?;
    ring.socket().bind(attachment.index(), Hear::Everything).map_err(fail("bind"))?;
    // An interface that went down since it was looked up has said so at the bind.
    if let Some(error) = ring.socket().take_error().map_err(fail("ask for errors"))? {
        return Err(attachment.explain(ring.socket(), "bind", error));
    }
    Ok(Box::new(RingReceive {
        attachment,
        ring,
        blocks,
        hold: options.hold,
        silent,
        dropped: 0,
        tagged: Vec::new(),
        ended: None,
        gone: false,
    }))
}

/// At least one: the kernel takes zero for a guess of its own.
fn milliseconds(hold: Duration) -> u32 {
    u32::try_from(hold.as_millis()).unwrap_or(u32::MAX).max(1)
}

struct RingReceive {
    attachment: Attachment,
    ring: Ring,
    blocks: u32,
    /// After how long a block is handed over by its timer.
    hold: Duration,
    /// What our own kernel sends is left out.
    silent: bool,
    dropped: u64,
    /// A frame with its VLAN tag put back.
    tagged: Vec<u8>,
    /// The end of the link, kept back until the frames before it are handed out.
    ended: Option<LinkError>,
    gone: bool,
}

impl RingReceive {
    /// Hands out what is there: one round of the ring at most, so that a flood does not hold us.
    fn drain(&mut self, take: &mut dyn FnMut(Captured<'_>)) -> usize {
        let mut count = 0;
        for _ in 0..self.blocks {
            let Some(block) = self.ring.next() else { break };
            for frame in Frames::of(block.bytes()) {
                if self.silent && frame.outgoing {
                    continue;
                }
                take(frame.captured(&mut self.tagged));
                count += 1;
            }
        }
        count
    }
}

impl Receive for RingReceive {
    fn receive(
        &mut self,
        patience: Duration,
        take: &mut dyn FnMut(Captured<'_>),
    ) -> Result<usize, LinkError> {
        let count = self.drain(take);
        if count > 0 {
            return Ok(count);
        }
        if let Some(error) = self.ended.take() {
            return Err(error);
        }
        if self.gone {
            return Err(LinkError::Gone { interface: self.attachment.name().to_owned() });
        }
        let fail = |error| LinkError::of(self.attachment.name(), "poll", error);
        let ready = poll::wait(&[self.ring.socket().as_fd()], patience).map_err(fail)?;
        if ready.iter().any(|ready| ready.failed)
            && let Some(error) = self.ring.socket().take_error().map_err(fail)?
        {
            // The last block is handed over by its timer.
            thread::sleep(2 * self.hold);
            let error = self.attachment.explain(self.ring.socket(), "receive", error);
            self.gone = matches!(error, LinkError::Gone { .. });
            self.ended = Some(error);
        }
        match self.drain(take) {
            0 => self.ended.take().map_or(Ok(0), Err),
            count => Ok(count),
        }
    }

    fn dropped(&mut self) -> Result<u64, LinkError> {
        let statistics = self
            .ring
            .socket()
            .statistics()
            .map_err(|error| LinkError::of(self.attachment.name(), "ask for drops", error))?;
        self.dropped = self.dropped.saturating_add(statistics.drops.into());
        Ok(self.dropped)
    }

    fn fill(&self) -> f64 {
        f64::from(self.ring.filled()) / f64::from(self.blocks)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.ring.socket().as_fd()
    }

    fn has_ended(&self) -> bool {
        self.gone || self.ended.is_some()
    }

    fn interface(&self) -> &str {
        self.attachment.name()
    }
}

/// The frames of one block, in order.
struct Frames<'a> {
    block: &'a [u8],
    at: usize,
    left: u32,
}

/// One frame with what the kernel wrote about it.
struct RingFrame<'a> {
    at: Timestamp,
    bytes: &'a [u8],
    length: u32,
    outgoing: bool,
    /// Type and content of a VLAN tag that was taken off.
    tag: Option<(u16, u16)>,
}

const fn block_field(field: usize) -> usize {
    offset_of!(tpacket_block_desc, hdr) + field
}

/// TPACKET_ALIGN of a frame's header: there its link address stands.
const ADDRESS: usize = size_of::<tpacket3_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);

impl<'a> Frames<'a> {
    fn of(block: &'a [u8]) -> Frames<'a> {
        let first = number(block, block_field(offset_of!(tpacket_hdr_v1, offset_to_first_pkt)));
        let left = number(block, block_field(offset_of!(tpacket_hdr_v1, num_pkts)));
        Frames { block, at: first.unwrap_or(0) as usize, left: left.unwrap_or(0) }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = RingFrame<'a>;

    fn next(&mut self) -> Option<RingFrame<'a>> {
        self.left = self.left.checked_sub(1)?;
        let header = self.block.get(self.at..)?;
        let status = number(header, offset_of!(tpacket3_hdr, tp_status))?;
        let captured = number(header, offset_of!(tpacket3_hdr, tp_snaplen))? as usize;
        let start = half(header, offset_of!(tpacket3_hdr, tp_mac))? as usize;
        let bytes = header.get(start..start.checked_add(captured)?)?;
        let variant = offset_of!(tpacket3_hdr, hv1);
        let tag = if status & libc::TP_STATUS_VLAN_VALID != 0 {
            let content = variant + offset_of!(tpacket_hdr_variant1, tp_vlan_tci);
            let kind = variant + offset_of!(tpacket_hdr_variant1, tp_vlan_tpid);
            let kind = match status & libc::TP_STATUS_VLAN_TPID_VALID {
                0 => libc::ETH_P_8021Q as u16,
                _ => half(header, kind)?,
            };
            Some((kind, number(header, content)? as u16))
        } else {
            None
        };
        let seconds = number(header, offset_of!(tpacket3_hdr, tp_sec))?;
        let nanoseconds = number(header, offset_of!(tpacket3_hdr, tp_nsec))?;
        let kind = header.get(ADDRESS + offset_of!(sockaddr_ll, sll_pkttype))?;
        let frame = RingFrame {
            at: Timestamp::new(seconds.into(), nanoseconds.min(999_999_999) as i32)
                .unwrap_or(Timestamp::UNIX_EPOCH),
            bytes,
            length: number(header, offset_of!(tpacket3_hdr, tp_len))?,
            outgoing: *kind == libc::PACKET_OUTGOING,
            tag,
        };
        let next = number(header, offset_of!(tpacket3_hdr, tp_next_offset))? as usize;
        if next == 0 {
            self.left = 0;
        }
        self.at = self.at.saturating_add(next);
        Some(frame)
    }
}

impl RingFrame<'_> {
    /// The frame as it was on the wire: the kernel keeps the tag beside it, and it goes back behind
    /// the two addresses.
    fn captured<'b>(&'b self, tagged: &'b mut Vec<u8>) -> Captured<'b> {
        let (mut bytes, mut length) = (self.bytes, self.length);
        if let Some((kind, content)) = self.tag
            && let Some((addresses, rest)) = self.bytes.split_at_checked(12)
        {
            tagged.clear();
            tagged.extend_from_slice(addresses);
            tagged.extend_from_slice(&kind.to_be_bytes());
            tagged.extend_from_slice(&content.to_be_bytes());
            tagged.extend_from_slice(rest);
            bytes = tagged;
            length = length.saturating_add(4);
        }
        Captured { at: self.at, bytes, length, outgoing: self.outgoing }
    }
}

/// A 32-bit number of the kernel's.
fn number(from: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*from.get(at..)?.first_chunk()?))
}

/// A 16-bit number of the kernel's.
fn half(from: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*from.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_block_makes_the_walk_panic_or_loop(block in prop::collection::vec(any::<u8>(), 0..512)) {
            let frames = Frames::of(&block).take(10_000).count();
            prop_assert!(frames < 10_000 || block.len() >= 48);
        }
    }

    #[test]
    fn a_tag_goes_back_behind_the_addresses() {
        let frame = RingFrame {
            at: Timestamp::UNIX_EPOCH,
            bytes: &[1; 16],
            length: 60,
            outgoing: false,
            tag: Some((0x88a8, 0x2064)),
        };
        let mut tagged = Vec::new();
        let captured = frame.captured(&mut tagged);
        assert_eq!(captured.bytes[12..16], [0x88, 0xa8, 0x20, 0x64]);
        assert_eq!((captured.bytes.len(), captured.length), (20, 64));
    }
}
