//! An AF_XDP socket that only sends, in copy mode.
//!
//! Four pieces of memory are shared with the kernel: the chunks that hold frames (the umem), and three
//! rings of which each side moves one index: transmit (we produce), completion (the kernel produces
//! the chunks that are free again) and fill, which the kernel wants to see and nobody uses.
//! Linux Documentation/networking/af_xdp.rst.
//!
//! Bound with XDP_COPY, so that no BPF program is needed and the card's queue stays the kernel's: a
//! zero-copy bind takes the queue away from everybody else and resets the card on many drivers, for
//! a speed that a sweep has no use for. See `docs/decisions/060-afxdp-copy.md`.

use std::io;
use std::mem::{self, offset_of};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::mapping::{self, Mapping};

/// Octets of a chunk: the smallest that holds an Ethernet frame of the usual MTU (the kernel takes 2048
/// or a page).
pub const CHUNK: usize = 2048;

/// The kernel's copying path takes this many frames a call (`TX_BATCH_SIZE`; 16 before Linux 5.19).
pub const STEP: u32 = 32;

/// linux/if_xdp.h, since Linux 6.17.
const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// XDP_PGOFF_TX_RING, which libc has in a type that is too short for it on 32-bit machines.
const TRANSMIT_RING: i64 = 0x8000_0000;

/// An address that lies in no chunk: the kernel passes over such a descriptor.
const NOWHERE: u64 = u64::MAX;

pub struct XdpSocket {
    fd: OwnedFd,
    umem: Mapping,
    transmit: Queue,
    completion: Queue,
    tells_at_once: bool,
}

struct Queue {
    memory: Mapping,
    /// Places as words: of 32 bits for the indices, of 64 for the entries.
    producer: usize,
    consumer: usize,
    entries: usize,
    mask: u32,
}

impl XdpSocket {
    /// Opened, and bound to the first queue of an interface. `chunks` is a power of two.
    pub fn open(interface: u32, chunks: u32) -> io::Result<XdpSocket> {
        // SAFETY: socket(2) takes three numbers.
        let fd = super::owned(unsafe {
            libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0)
        })?;
        let length = CHUNK.checked_mul(chunks as usize).ok_or(io::ErrorKind::InvalidInput)?;
        let umem = Mapping::own(length)?;
        let register = libc::xdp_umem_reg_v1 {
            addr: umem.address(),
            len: length as u64,
            chunk_size: CHUNK as u32,
            headroom: 0,
        };
        set(&fd, libc::XDP_UMEM_REG, &register)?;
        set(&fd, libc::XDP_UMEM_FILL_RING, &STEP)?;
        set(&fd, libc::XDP_UMEM_COMPLETION_RING, &chunks)?;
        set(&fd, libc::XDP_TX_RING, &chunks)?;
        // The kernel that knows this option is also the first that moves the transmit ring's
        // consumer before every return (both of 6.17), and the value is its default.
        let tells_at_once = set(&fd, XDP_MAX_TX_SKB_BUDGET, &STEP).is_ok();
        let offsets = offsets(&fd)?;
        let transmit =
            Queue::map(&fd, &offsets.tx, TRANSMIT_RING, chunks, size_of::<libc::xdp_desc>())?;
        let completion = Queue::map(
            &fd,
            &offsets.cr,
            libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64,
            chunks,
            size_of::<u64>(),
        )?;
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: libc::XDP_COPY,
            sxdp_ifindex: interface,
            sxdp_queue_id: 0,
            sxdp_shared_umem_fd: 0,
        };
        // SAFETY: the pointer and the length are those of `address`, which outlives the call.
        super::check(unsafe {
            libc::bind(
                fd.as_raw_fd(),
                (&raw const address).cast(),
                mem::size_of_val(&address) as libc::socklen_t,
            )
        })?;
        Ok(XdpSocket { fd, umem, transmit, completion, tells_at_once })
    }

    /// Whether [`consumed`](Self::consumed) is exact after each [`kick`](Self::kick) that sent
    /// something, also one that ended with an error.
    pub fn tells_at_once(&self) -> bool {
        self.tells_at_once
    }

    /// Copies a frame into a chunk.
    pub fn write(&self, chunk: u32, frame: &[u8]) {
        let start = (chunk as usize).saturating_mul(CHUNK / 8);
        if let Some(words) = self.umem.words().get(start..).and_then(|rest| rest.get(..CHUNK / 8)) {
            mapping::copy(frame, words);
        }
    }

    /// Writes the transmit descriptor at this index.
    pub fn describe(&self, index: u32, chunk: u32, length: u32) {
        self.write_descriptor(index, u64::from(chunk) * CHUNK as u64, length);
    }

    /// Makes a descriptor that the kernel has not consumed one that it passes over, one a
    /// [`kick`](Self::kick), without a completion.
    pub fn void(&self, index: u32) {
        self.write_descriptor(index, NOWHERE, 0);
    }

    fn write_descriptor(&self, index: u32, address: u64, length: u32) {
        // The length's word holds the options as well, which stay zero.
        const LENGTH: usize = offset_of!(libc::xdp_desc, len) / 8;
        const DESCRIPTOR: usize = size_of::<libc::xdp_desc>() / 8;
        let mut word = [0; 8];
        if let Some(half) = word.first_chunk_mut() {
            *half = length.to_ne_bytes();
        }
        let place = (index & self.transmit.mask) as usize * DESCRIPTOR;
        self.transmit.entry(place).store(address, Ordering::Relaxed);
        self.transmit.entry(place + LENGTH).store(u64::from_ne_bytes(word), Ordering::Relaxed);
    }

    /// Lets the kernel see the descriptors before this index.
    pub fn produce(&self, to: u32) {
        self.transmit.index(self.transmit.producer).store(to, Ordering::Release);
    }

    /// Up to where the kernel says that it consumed descriptors.
    pub fn consumed(&self) -> u32 {
        self.transmit.index(self.transmit.consumer).load(Ordering::Acquire)
    }

    /// Up to where chunks have come back.
    pub fn completed(&self) -> u32 {
        self.completion.index(self.completion.producer).load(Ordering::Acquire)
    }

    /// The chunk that came back at this index.
    pub fn completion(&self, index: u32) -> u32 {
        let place = (index & self.completion.mask) as usize;
        let address = self.completion.entry(place).load(Ordering::Relaxed);
        (address / CHUNK as u64).try_into().unwrap_or(u32::MAX)
    }

    /// Lets the kernel use the completion ring before this index again.
    pub fn take_completions(&self, to: u32) {
        self.completion.index(self.completion.consumer).store(to, Ordering::Release);
    }

    /// Makes the kernel send [`STEP`] frames at most.
    pub fn kick(&self) -> io::Result<()> {
        // SAFETY: a null buffer of no octets, and no address.
        super::counted(unsafe {
            libc::sendto(self.fd.as_raw_fd(), ptr::null(), 0, libc::MSG_DONTWAIT, ptr::null(), 0)
        })?;
        Ok(())
    }
}

impl Queue {
    fn map(
        fd: &OwnedFd,
        offsets: &libc::xdp_ring_offset,
        offset: i64,
        count: u32,
        entry: usize,
    ) -> io::Result<Queue> {
        let place = |offset: u64, width: usize| {
            let offset = usize::try_from(offset).ok().filter(|offset| offset % width == 0);
            offset.map(|offset| offset / width).ok_or(io::Error::from(io::ErrorKind::Unsupported))
        };
        let (producer, consumer) = (place(offsets.producer, 4)?, place(offsets.consumer, 4)?);
        let entries = place(offsets.desc, 8)?;
        let length = (entries * 8).saturating_add(entry.saturating_mul(count as usize));
        if (producer.max(consumer) + 1) * 4 > length {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let memory = Mapping::of(fd.as_fd(), offset, length)?;
        Ok(Queue { memory, producer, consumer, entries, mask: count.wrapping_sub(1) })
    }

    fn index(&self, place: usize) -> &AtomicU32 {
        static NONE: AtomicU32 = AtomicU32::new(0);
        self.memory.halves().get(place).unwrap_or(&NONE)
    }

    fn entry(&self, place: usize) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        self.memory.words().get(self.entries + place).unwrap_or(&NONE)
    }
}

fn offsets(fd: &OwnedFd) -> io::Result<libc::xdp_mmap_offsets> {
    let none = libc::xdp_ring_offset { producer: 0, consumer: 0, desc: 0, flags: 0 };
    let mut offsets = libc::xdp_mmap_offsets { rx: none, tx: none, fr: none, cr: none };
    let whole = size_of::<libc::xdp_mmap_offsets>() as libc::socklen_t;
    let mut length = whole;
    // SAFETY: the kernel writes at most `length` octets, the size of `offsets`, which is made of
    // numbers alone; both pointers live through the call.
    super::check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_XDP,
            libc::XDP_MMAP_OFFSETS,
            (&raw mut offsets).cast(),
            &raw mut length,
        )
    })?;
    // Linux before 5.4 has three numbers a ring where we read four.
    if length == whole { Ok(offsets) } else { Err(io::ErrorKind::Unsupported.into()) }
}

/// `T` is the kernel's type for the option: plain numbers, or the address of memory that the caller keeps.
fn set<T: Copy>(fd: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of `value`, which outlives the call; the kernel only
    // reads it.
    super::check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_XDP,
            option,
            ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    })
}
