//! A packet socket: packet(7).

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::time::Duration;

/// How many frames go to the kernel in one call. Past 64 the call itself is no longer what costs.
pub const BATCH: usize = 64;

pub struct PacketSocket {
    fd: OwnedFd,
}

/// Whether a bound socket receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hear {
    /// Protocol 0: nothing is ever delivered, and no frame on the machine is cloned for it.
    Nothing,
    /// Every protocol (ETH_P_ALL), also what this machine sends.
    Everything,
}

/// PACKET_STATISTICS: counted since the last asking.
#[derive(Debug, Clone, Copy)]
pub struct Statistics {
    pub drops: u32,
}

impl PacketSocket {
    /// Not bound, with protocol 0: it hears nothing until [`bind`](Self::bind), so a filter that
    /// is attached before misses no frame and lets no stray one in.
    pub fn open() -> io::Result<PacketSocket> {
        // SAFETY: socket(2) takes three numbers.
        let fd = super::owned(unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0)
        })?;
        Ok(PacketSocket { fd })
    }

    /// A second name for the same socket.
    #[cfg(feature = "pnet-io")]
    pub fn another(&self) -> io::Result<PacketSocket> {
        Ok(PacketSocket { fd: self.fd.try_clone()? })
    }

    /// Gives the descriptor away.
    #[cfg(feature = "pnet-io")]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    pub fn bind(&self, interface: u32, hear: Hear) -> io::Result<()> {
        let protocol = match hear {
            Hear::Nothing => 0,
            Hear::Everything => libc::ETH_P_ALL as u16,
        };
        // SAFETY: an all-zero sockaddr_ll is a valid one.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_protocol = protocol.to_be();
        address.sll_ifindex = index(interface)?;
        // SAFETY: the pointer and the length are those of `address`, which outlives the call.
        super::check(unsafe {
            libc::bind(
                self.fd.as_raw_fd(),
                (&raw const address).cast(),
                mem::size_of_val(&address) as libc::socklen_t,
            )
        })
    }

    /// Installs a classic BPF program (SO_ATTACH_FILTER). The kernel checks it.
    pub fn attach(&self, program: &[libc::sock_filter]) -> io::Result<()> {
        let length = program.len().try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
        // The kernel copies the program and writes nothing to it, though the field says `*mut`.
        let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    /// Hear frames for other stations, as long as the socket is open.
    pub fn join_promiscuous(&self, interface: u32) -> io::Result<()> {
        let membership = libc::packet_mreq {
            mr_ifindex: index(interface)?,
            mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership)
    }

    /// Hand frames to the driver past the queueing discipline (and past local taps).
    pub fn bypass_queueing(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &(1 as libc::c_int))
    }

    pub fn set_send_buffer(&self, octets: u32) -> io::Result<()> {
        let octets = octets.min(libc::c_int::MAX as u32) as libc::c_int;
        self.set(libc::SOL_SOCKET, libc::SO_SNDBUF, &octets)
    }

    /// Past the administrator's limit where we may (CAP_NET_ADMIN), up to it where not.
    #[cfg(feature = "pnet-io")]
    pub fn set_receive_buffer(&self, octets: u32) -> io::Result<()> {
        let octets = octets.min(libc::c_int::MAX as u32) as libc::c_int;
        self.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &octets)
            .or_else(|_| self.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &octets))
    }

    /// How long a send may wait for room in the send buffer before it says EAGAIN.
    pub fn set_send_patience(&self, patience: Duration) -> io::Result<()> {
        let patience = libc::timeval {
            tv_sec: patience.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_usec: libc::suseconds_t::from(patience.subsec_micros()),
        };
        self.set(libc::SOL_SOCKET, libc::SO_SNDTIMEO, &patience)
    }

    /// Frames since the last asking, and asking starts the count anew.
    pub fn statistics(&self) -> io::Result<Statistics> {
        // A socket without a V3 ring fills in only the first two fields.
        let zero = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let read = self.get(libc::SOL_PACKET, libc::PACKET_STATISTICS, zero)?;
        Ok(Statistics { drops: read.tp_drops })
    }

    /// The error that waits at the socket (SO_ERROR), which asking takes away.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let code = self.get(libc::SOL_SOCKET, libc::SO_ERROR, 0 as libc::c_int)?;
        Ok((code != 0).then(|| io::Error::from_raw_os_error(code)))
    }

    /// Whether the socket's namespace still has an interface of this index.
    pub fn has_interface(&self, interface: u32) -> io::Result<bool> {
        // SAFETY: an all-zero ifreq is a valid one: plain numbers and an empty name.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        request.ifr_ifru.ifru_ifindex = index(interface)?;
        // SAFETY: SIOCGIFNAME reads the index and writes the name, both inside the ifreq.
        let result =
            unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SIOCGIFNAME, &raw mut request) };
        match super::check(result) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The MTU of an interface of the socket's namespace, now.
    pub fn mtu(&self, interface: &str) -> io::Result<u32> {
        // SAFETY: an all-zero ifreq is a valid one: plain numbers and an empty name.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        // One shorter than the field: a zero ends the name.
        let (_, name) = request.ifr_name.split_last_mut().ok_or(io::ErrorKind::InvalidInput)?;
        for (octet, place) in interface.bytes().zip(name) {
            *place = octet as libc::c_char;
        }
        // SAFETY: SIOCGIFMTU reads the name and writes a number, both inside the ifreq.
        super::check(unsafe {
            libc::ioctl(self.fd.as_raw_fd(), libc::SIOCGIFMTU as _, &raw mut request)
        })?;
        // SAFETY: the kernel has just written this member of the union, a number.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        mtu.try_into().map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Not to be given what this machine itself sends (PACKET_IGNORE_OUTGOING, Linux 4.20).
    pub fn ignore_outgoing(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &(1 as libc::c_int))
    }

    /// Makes the kernel send what waits in a transmit ring, without waiting for room.
    pub fn send_ring(&self) -> io::Result<usize> {
        // SAFETY: a null buffer of no octets, and no address.
        super::counted(unsafe {
            libc::sendto(self.fd.as_raw_fd(), ptr::null(), 0, libc::MSG_DONTWAIT, ptr::null(), 0)
        })
    }

    /// Hands the first [`BATCH`] frames at most to the kernel and says how many it took. An error is
    /// that of the first frame: where a later one fails, the count ends before it.
    pub fn send<'a>(&self, frames: impl Iterator<Item = &'a [u8]>) -> io::Result<usize> {
        let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: an all-zero mmsghdr is a valid one: no address, no vectors, no control data.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let mut count = 0;
        for ((frame, vector), header) in frames.zip(&mut vectors).zip(&mut headers) {
            // The kernel only reads from it, though the field says `*mut`.
            vector.iov_base = frame.as_ptr().cast_mut().cast();
            vector.iov_len = frame.len();
            header.msg_hdr.msg_iov = &raw mut *vector;
            header.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        if count == 0 {
            return Ok(0);
        }
        // SAFETY: the first `count` headers each point at one vector of `vectors`, and that at a
        // frame that the caller lends for `'a`, which outlives the call. The kernel writes only
        // `msg_len` of those headers.
        let sent = unsafe { libc::sendmmsg(self.fd.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
        super::counted(sent as isize)
    }

    /// `T` is the kernel's type for the option: plain numbers, or a pointer that is valid now.
    pub(super) fn set<T: Copy>(
        &self,
        level: libc::c_int,
        option: libc::c_int,
        value: &T,
    ) -> io::Result<()> {
        // SAFETY: the pointer and the length are those of `value`, which outlives the call; the
        // kernel only reads it.
        super::check(unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                option,
                ptr::from_ref(value).cast(),
                mem::size_of::<T>() as libc::socklen_t,
            )
        })
    }

    /// `T` is the kernel's type for the option, plain numbers alone: any bits make one.
    fn get<T: Copy>(&self, level: libc::c_int, option: libc::c_int, mut value: T) -> io::Result<T> {
        let mut length = mem::size_of::<T>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` octets, the size of `value`, and any octets
        // make a valid value of the number types that this module asks for.
        super::check(unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                level,
                option,
                (&raw mut value).cast(),
                &raw mut length,
            )
        })?;
        Ok(value)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn index(interface: u32) -> io::Result<libc::c_int> {
    interface.try_into().map_err(|_| io::ErrorKind::InvalidInput.into())
}
