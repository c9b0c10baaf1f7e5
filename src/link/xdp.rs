//! Frames out by AF_XDP in copy mode, with the kernel's share of the work on a thread of its own.
//!
//! What a frame costs here is the kernel's: on a veth pair 0.95 µs, the receiver's side included, all of it in
//! the system call that we make. So the engine's thread only copies frames into chunks and names
//! them in a queue; a second thread makes the calls. Where few frames wait at a flush the engine's
//! thread makes the call itself: a gentle sweep never starts the second thread.
//!
//! Two processors are better than one: when the thread is [`BEHIND`], the engine's has nothing better to do than
//! to send as well, and does so by a packet socket of its own, a batch at a time (1.4 µs a frame there, in
//! parallel). The order of frames is no promise of a link's.
//!
//! Who may touch what: the [`Kicker`] alone touches the socket's rings, and whoever holds its lock is
//! the kicker. Chunks go from the engine to the kicker through `Shared::queued`, and back through
//! `Shared::free`; each of the two has one writer and one reader.

use std::collections::VecDeque;
use std::hint;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::attachment::{Attachment, ETHERTYPE_VLAN, Tag};
use super::batch::{self, ATTEMPTS, FIRST_PAUSE, is_congestion};
use super::sys::packet::{BATCH, PacketSocket};
use super::sys::process;
use super::sys::xdp::{CHUNK, STEP, XdpSocket};
use super::{LinkError, SEND_PATIENCE, Transmit, privilege};

/// 4 MiB, half of what a user may lock who is not root (8 MiB by default since Linux 5.16), and 2 ms of the kernel's
/// work. A power of two.
const CHUNKS: u32 = 2048;

/// From this many waiting frames on a flush leaves the calls to the thread: a full step of the kernel's.
const HAND_OVER: u32 = STEP;

/// How often the thread looks for more work before it sleeps: 20 µs or so, a third of what 64 frames take.
const SPINS: u32 = 1000;

/// How long the engine's thread sleeps while the ring is full: an eighth of what the ring holds.
const ROOM_PAUSE: Duration = Duration::from_micros(250);

/// With so many frames waiting for the thread the next batch goes beside it: enough that the thread never
/// waits while the engine's is busy with its own batch, which takes as long as a hundred frames here.
const BEHIND: u32 = CHUNKS / 4;

/// No interface has a smaller MTU (RFC 791, `ETH_MIN_MTU`): a frame of this length fits everywhere.
const FITS_ALWAYS: usize = 14 + 68;

/// How long a busy queue is asked for again. A guess with a wide margin: measured were up to 30 ms.
const CLEANING_UP: Duration = Duration::from_millis(200);

/// Faults that the thread leaves for the engine's; all others are the kernel's error numbers.
const NO_FAULT: i32 = 0;
const CONGESTED: i32 = -1;

pub(super) fn open(interface: &str) -> Result<Box<dyn Transmit>, LinkError> {
    let attachment = Attachment::find(interface)?;
    let fail = |what| move |error| LinkError::of(interface, what, error);
    let control = PacketSocket::open().map_err(fail("open a packet socket"))?;
    let socket = open_socket(attachment.index()).map_err(fail("open an AF_XDP socket"))?;
    Ok(Box::new(XdpTransmit {
        beside: batch::open(interface)?,
        turn: 0,
        attachment,
        control,
        shared: Arc::new(Shared::new(socket)),
        helper: Helper::NotNeeded,
        next: 0,
        handed: 0,
        free: 0,
        spare: Vec::with_capacity(CHUNKS as usize),
        longest: 0,
        told: 0,
        stuck_at: None,
    }))
}

/// A queue that a socket had is free again only after the kernel's own cleaning up, some milliseconds after it
/// was closed: the sweep before this one may have ended just now.
fn open_socket(interface: u32) -> io::Result<XdpSocket> {
    let began = Instant::now();
    loop {
        match XdpSocket::open(interface, CHUNKS) {
            Err(error)
                if error.raw_os_error() == Some(libc::EBUSY) && began.elapsed() < CLEANING_UP =>
            {
                thread::sleep(CLEANING_UP / 20);
            }
            opened => return opened,
        }
    }
}

/// A frame on its way: the chunk, the length, and whether it has a VLAN tag, in one word.
#[derive(Clone, Copy)]
struct Waiting {
    chunk: u32,
    length: u32,
    tagged: bool,
}

const TAGGED: u32 = 1 << 31;

impl Waiting {
    fn pack(self) -> u64 {
        let low = self.length | if self.tagged { TAGGED } else { 0 };
        u64::from(self.chunk) << 32 | u64::from(low)
    }

    fn unpack(word: u64) -> Waiting {
        let low = word as u32;
        let chunk = (word >> 32) as u32;
        Waiting { chunk, length: low & !TAGGED, tagged: low & TAGGED != 0 }
    }
}

/// An index that one thread moves, on a cache line of its own.
#[repr(align(64))]
#[derive(Default)]
struct Line<T>(T);

struct Shared {
    socket: XdpSocket,
    /// As many places as there are chunks: a frame that waits has one, so neither ring overflows.
    queued: PerChunk<AtomicU64>,
    free: PerChunk<AtomicU32>,
    /// Up to where frames are queued; the engine's.
    queued_to: Line<AtomicU32>,
    /// Up to where chunks are free; the kicker's.
    free_to: Line<AtomicU32>,
    /// How many frames are done with, and how many of these were not sent, in one word; the kicker's.
    done: Line<AtomicU64>,
    fault: AtomicI32,
    ends: AtomicBool,
    kicker: Mutex<Kicker>,
}

impl Shared {
    fn new(socket: XdpSocket) -> Shared {
        Shared {
            socket,
            queued: per_chunk(|_| AtomicU64::new(0)),
            free: per_chunk(|chunk| AtomicU32::new(chunk as u32)),
            queued_to: Line::default(),
            free_to: Line(AtomicU32::new(CHUNKS)),
            done: Line::default(),
            fault: AtomicI32::new(NO_FAULT),
            ends: AtomicBool::new(false),
            kicker: Mutex::new(Kicker::new()),
        }
    }

    /// Whether frames come within a moment: to be woken costs both threads more than that.
    fn gets_more_soon(&self) -> bool {
        let before = self.queued_to.0.load(Ordering::Relaxed);
        (0..SPINS).any(|_| {
            hint::spin_loop();
            self.queued_to.0.load(Ordering::Relaxed) != before
        })
    }

    /// Frames done with, and those of them that were not sent. Both wrap.
    fn done(&self) -> (u32, u32) {
        let word = self.done.0.load(Ordering::Acquire);
        ((word >> 32) as u32, word as u32)
    }

    /// A poisoned lock is a panic in the thread, whose books cannot be wrong halfway: it only counts.
    fn kicker(&self) -> MutexGuard<'_, Kicker> {
        self.kicker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_kicker(&self) -> Option<MutexGuard<'_, Kicker>> {
        match self.kicker.try_lock() {
            Ok(kicker) => Some(kicker),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// As many places as there are chunks.
type PerChunk<T> = Box<[T; CHUNKS as usize]>;

fn per_chunk<T>(fill: impl FnMut(usize) -> T) -> PerChunk<T> {
    Box::new(std::array::from_fn(fill))
}

/// The place of an index that counts on for ever. No index is out of bounds: the ring has CHUNKS places.
fn at<T>(ring: &[T; CHUNKS as usize], index: u32) -> &T {
    &ring[(index % CHUNKS) as usize]
}

/// Why the kicker stopped before everything was sent.
enum Halt {
    /// The device stayed full through all attempts; the frames still wait.
    Congested,
    /// The interface refuses; the frames are thrown away.
    Refused(io::Error),
}

/// What came of a call.
enum Kicked {
    /// Frames went.
    On,
    /// The device takes none now.
    Full,
    /// The kernel passed over a descriptor that was made void.
    Void,
    Refused(io::Error),
}

/// Calls that may do no more than pass over void descriptors, each over one.
const MOST_VOID: u32 = 2 * CHUNKS;

/// The one who talks to the socket.
struct Kicker {
    /// Up to where frames were taken from the queue.
    taken: u32,
    /// Up to where the kernel may see descriptors.
    produced: u32,
    /// Up to where it consumed them, or was told to pass over them.
    consumed: u32,
    /// Calls since descriptors were added.
    calls: u32,
    /// What stands in the transmit ring.
    described: PerChunk<u64>,
    /// Frames that the device dropped, which go once more. A step's at most.
    again: VecDeque<u64>,
    /// Completions a chunk that do not make it free, because its frame goes once more.
    owed: PerChunk<u8>,
    completed: u32,
    freed: u32,
    done: u32,
    lost: u32,
    /// Dropped by the device in this step, it is not known which.
    dropped: u32,
}

impl Kicker {
    fn new() -> Kicker {
        Kicker {
            taken: 0,
            produced: 0,
            consumed: 0,
            calls: 0,
            described: per_chunk(|_| 0),
            again: VecDeque::with_capacity(2 * STEP as usize),
            owed: per_chunk(|_| 0),
            completed: 0,
            freed: CHUNKS,
            done: 0,
            lost: 0,
            dropped: 0,
        }
    }

    /// Sends until nothing waits any more.
    ///
    /// At most a step is shown to the kernel at a time, so that a call ends with the step sent, and it
    /// is known which frame a dropping device dropped.
    fn drain(&mut self, shared: &Shared) -> Result<(), Halt> {
        let mut attempts = 0;
        let mut end = None;
        let halt = loop {
            if self.consumed == self.produced && !self.step(shared) {
                break None;
            }
            let kicked = self.kick(shared);
            self.collect(shared);
            match kicked {
                Kicked::On => attempts = 0,
                Kicked::Refused(error) => break Some(Halt::Refused(error)),
                Kicked::Full | Kicked::Void if attempts > ATTEMPTS => break Some(Halt::Congested),
                Kicked::Void if self.calls < MOST_VOID => {}
                Kicked::Full | Kicked::Void => {
                    // At first it may only be that the call ended where a call ends on older kernels.
                    if let Some(doublings) = attempts.checked_sub(1) {
                        thread::sleep(FIRST_PAUSE * 2u32.pow(doublings));
                    }
                    attempts += 1;
                    // While the link ends, a frame now and then does not make it wait on and on.
                    if shared.ends.load(Ordering::Relaxed)
                        && end.get_or_insert_with(Instant::now).elapsed() > SEND_PATIENCE
                    {
                        break Some(Halt::Congested);
                    }
                }
            }
        };
        self.collect(shared);
        halt.map_or(Ok(()), Err)
    }

    /// One call of the kernel.
    fn kick(&mut self, shared: &Shared) -> Kicked {
        let result = shared.socket.kick();
        self.calls = self.calls.saturating_add(1);
        // Behind us where it has yet to pass over what was thrown away.
        let moved = shared.socket.consumed().wrapping_sub(self.consumed);
        let moved = if moved <= self.produced.wrapping_sub(self.consumed) { moved } else { 0 };
        match result {
            Ok(()) => {
                self.pass(moved);
                if self.consumed == self.produced { Kicked::On } else { Kicked::Void }
            }
            // The device dropped the last frame that the kernel consumed in this call.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                if shared.socket.tells_at_once() || self.produced.wrapping_sub(self.consumed) == 1 {
                    self.pass(moved.saturating_sub(1));
                    self.drop_one();
                } else {
                    self.dropped += 1;
                }
                if moved > 1 { Kicked::On } else { Kicked::Full }
            }
            Err(error) if is_transient(&error) => {
                self.pass(moved);
                if moved > 0 { Kicked::On } else { Kicked::Full }
            }
            Err(error) => {
                self.throw_away(shared);
                Kicked::Refused(error)
            }
        }
    }

    /// Shows the kernel the next frames: those that go once more, then new ones. False where none wait.
    fn step(&mut self, shared: &Shared) -> bool {
        let queued_to = shared.queued_to.0.load(Ordering::Acquire);
        for _ in 0..STEP {
            let word = match self.again.pop_front() {
                Some(word) => word,
                None if self.taken != queued_to => {
                    let word = at(&shared.queued, self.taken).load(Ordering::Relaxed);
                    self.taken = self.taken.wrapping_add(1);
                    word
                }
                None => break,
            };
            let frame = Waiting::unpack(word);
            shared.socket.describe(self.produced, frame.chunk, frame.length);
            if let Some(place) = self.described.get_mut((self.produced & (CHUNKS - 1)) as usize) {
                *place = word;
            }
            self.produced = self.produced.wrapping_add(1);
        }
        if self.produced == self.consumed {
            return false;
        }
        shared.socket.produce(self.produced);
        self.calls = 0;
        true
    }

    /// Counts frames that the kernel took.
    fn pass(&mut self, frames: u32) {
        self.consumed = self.consumed.wrapping_add(frames);
        self.done = self.done.wrapping_add(frames);
        if self.consumed == self.produced {
            self.lost = self.lost.wrapping_add(std::mem::take(&mut self.dropped));
        }
    }

    /// The frame that the kernel consumed last was dropped by the device: it goes once more.
    fn drop_one(&mut self) {
        let word = *at(&self.described, self.consumed);
        self.consumed = self.consumed.wrapping_add(1);
        if let Some(owed) = self.owed.get_mut(Waiting::unpack(word).chunk as usize) {
            *owed = owed.saturating_add(1);
        }
        self.again.push_back(word);
    }

    /// Throws away what waits: no frame goes out later that nobody expects any more.
    fn throw_away(&mut self, shared: &Shared) {
        // Where it is not known how far the kernel came in this step, completions may still come
        // for its chunks: these are left to them, and at worst a step's chunks are missing from then on.
        let known = shared.socket.tells_at_once() || self.calls <= 1;
        while self.consumed != self.produced {
            shared.socket.void(self.consumed);
            let word = *at(&self.described, self.consumed);
            if known {
                self.free(shared, Waiting::unpack(word).chunk);
            }
            self.consumed = self.consumed.wrapping_add(1);
            self.give_up(1);
        }
        while let Some(word) = self.again.pop_front() {
            let chunk = Waiting::unpack(word).chunk;
            match self.owed.get_mut(chunk as usize) {
                Some(owed) if *owed > 0 => *owed -= 1,
                _ => self.free(shared, chunk),
            }
            self.give_up(1);
        }
        let queued_to = shared.queued_to.0.load(Ordering::Acquire);
        while self.taken != queued_to {
            let word = at(&shared.queued, self.taken).load(Ordering::Relaxed);
            self.free(shared, Waiting::unpack(word).chunk);
            self.taken = self.taken.wrapping_add(1);
            self.give_up(1);
        }
        self.dropped = 0;
    }

    fn give_up(&mut self, frames: u32) {
        self.done = self.done.wrapping_add(frames);
        self.lost = self.lost.wrapping_add(frames);
    }

    fn free(&mut self, shared: &Shared, chunk: u32) {
        at(&shared.free, self.freed).store(chunk, Ordering::Relaxed);
        self.freed = self.freed.wrapping_add(1);
    }

    /// Takes the chunks that came back, and says how far everything is.
    fn collect(&mut self, shared: &Shared) {
        let to = shared.socket.completed();
        // No more can be under way than there are chunks, whatever the kernel says.
        if to.wrapping_sub(self.completed) <= CHUNKS {
            while self.completed != to {
                let chunk = shared.socket.completion(self.completed);
                match self.owed.get_mut(chunk as usize) {
                    Some(owed) if *owed > 0 => *owed -= 1,
                    Some(_) => self.free(shared, chunk),
                    None => {}
                }
                self.completed = self.completed.wrapping_add(1);
            }
            shared.socket.take_completions(to);
        }
        shared.free_to.0.store(self.freed, Ordering::Release);
        let done = u64::from(self.done) << 32 | u64::from(self.lost);
        shared.done.0.store(done, Ordering::Release);
    }
}

/// The device's queue or memory is full, which passes.
fn is_transient(error: &io::Error) -> bool {
    is_congestion(error)
        || error.raw_os_error() == Some(libc::ENOMEM)
        || error.kind() == io::ErrorKind::Interrupted
}

enum Helper {
    NotNeeded,
    Runs(JoinHandle<()>),
    /// No thread was to be had, or it gave up: the engine's makes the calls.
    Refused,
}

struct XdpTransmit {
    attachment: Attachment,
    /// What goes beside the thread, and how many frames of its turn are left.
    beside: Box<dyn Transmit>,
    turn: u32,
    /// Asks about the interface, which an AF_XDP socket cannot.
    control: PacketSocket,
    shared: Arc<Shared>,
    helper: Helper,
    /// Where the next frame is queued.
    next: u32,
    /// Up to where frames were handed to the kicker.
    handed: u32,
    /// The next free chunk of those that came back.
    free: u32,
    /// Chunks that were taken and not used.
    spare: Vec<u32>,
    /// The longest frame since the MTU was asked for.
    longest: usize,
    /// Frames told as sent.
    told: u32,
    /// How many frames were done with when the link said that it is congested.
    stuck_at: Option<u32>,
}

impl XdpTransmit {
    /// Hands over what is queued and sees that it is sent, now or by the thread.
    fn send(&mut self) -> Result<(), LinkError> {
        self.tell_fault()?;
        self.leave_out_too_long()?;
        self.shared.queued_to.0.store(self.next, Ordering::Release);
        self.handed = self.next;
        let waiting = self.next.wrapping_sub(self.shared.done().0);
        if waiting == 0 {
            return Ok(());
        }
        if waiting >= HAND_OVER && matches!(self.helper, Helper::NotNeeded) {
            self.helper = start(&self.shared);
        }
        if let Helper::Runs(thread) = &self.helper {
            if thread.is_finished() {
                self.helper = Helper::Refused;
            } else if waiting >= HAND_OVER {
                thread.thread().unpark();
                if waiting >= BEHIND {
                    self.turn = BATCH as u32;
                }
                return Ok(());
            }
        }
        let drained = self.shared.try_kicker().map(|mut kicker| kicker.drain(&self.shared));
        match drained {
            Some(drained) => drained.map_err(|halt| self.explain(halt)),
            None => {
                // The thread is at work, and may have looked for the last time before these frames came.
                if let Helper::Runs(thread) = &self.helper {
                    thread.thread().unpark();
                }
                Ok(())
            }
        }
    }

    /// What the thread met with since it was asked last.
    fn tell_fault(&mut self) -> Result<(), LinkError> {
        if self.shared.fault.load(Ordering::Relaxed) == NO_FAULT {
            return Ok(());
        }
        match self.shared.fault.swap(NO_FAULT, Ordering::AcqRel) {
            NO_FAULT => Ok(()),
            CONGESTED => Err(self.explain(Halt::Congested)),
            code => Err(self.explain(Halt::Refused(io::Error::from_raw_os_error(code)))),
        }
    }

    fn explain(&mut self, halt: Halt) -> LinkError {
        match halt {
            Halt::Congested => {
                let done = self.shared.done().0;
                self.stuck_at = Some(done);
                self.congested(self.next.wrapping_sub(done))
            }
            Halt::Refused(error) => {
                while self.next != self.handed {
                    self.next = self.next.wrapping_sub(1);
                    let word = at(&self.shared.queued, self.next).load(Ordering::Relaxed);
                    self.spare.push(Waiting::unpack(word).chunk);
                }
                self.attachment.explain(&self.control, "send", error)
            }
        }
    }

    fn congested(&self, waiting: u32) -> LinkError {
        let interface = self.attachment.name().to_owned();
        LinkError::Congested { interface, waiting: waiting as usize }
    }

    /// Leaves out the first frame that the MTU has become too small for. The kernel's path here does not
    /// look at it: the device, or the other end, would drop the frame without a word.
    fn leave_out_too_long(&mut self) -> Result<(), LinkError> {
        if self.longest <= FITS_ALWAYS {
            return Ok(());
        }
        let Ok(mtu) = self.control.mtu(self.attachment.name()) else { return Ok(()) };
        let mut index = self.handed;
        while index != self.next {
            let frame = Waiting::unpack(at(&self.shared.queued, index).load(Ordering::Relaxed));
            let most =
                Attachment::most_at(mtu, if frame.tagged { Tag::Present } else { Tag::Absent });
            if frame.length as usize > most {
                self.spare.push(frame.chunk);
                self.next = self.next.wrapping_sub(1);
                while index != self.next {
                    let after = at(&self.shared.queued, index.wrapping_add(1));
                    let word = after.load(Ordering::Relaxed);
                    at(&self.shared.queued, index).store(word, Ordering::Relaxed);
                    index = index.wrapping_add(1);
                }
                return Err(LinkError::Length {
                    interface: self.attachment.name().to_owned(),
                    length: frame.length as usize,
                    least: 0,
                    most,
                });
            }
            index = index.wrapping_add(1);
        }
        self.longest = 0;
        Ok(())
    }

    /// A chunk for a frame. Waits a while where all are under way.
    fn chunk(&mut self) -> Result<u32, LinkError> {
        if let Some(chunk) = self.spare.pop() {
            return Ok(chunk);
        }
        if self.free == self.shared.free_to.0.load(Ordering::Acquire) {
            self.wait_for_room()?;
        }
        let chunk = at(&self.shared.free, self.free).load(Ordering::Relaxed);
        self.free = self.free.wrapping_add(1);
        Ok(chunk)
    }

    fn wait_for_room(&mut self) -> Result<(), LinkError> {
        let began = Instant::now();
        loop {
            self.send()?;
            // What the card completed later than it took it is collected by nobody else.
            if let Some(mut kicker) = self.shared.try_kicker() {
                kicker.collect(&self.shared);
            }
            if self.free != self.shared.free_to.0.load(Ordering::Acquire) {
                return Ok(());
            }
            if began.elapsed() > SEND_PATIENCE {
                return Err(self.explain(Halt::Congested));
            }
            thread::sleep(ROOM_PAUSE);
        }
    }

    /// A congested link takes no more than a batch until something went: no burst follows when it is free again.
    fn admit_more(&mut self) -> Result<(), LinkError> {
        let Some(stuck_at) = self.stuck_at else { return Ok(()) };
        let done = self.shared.done().0;
        if done != stuck_at {
            self.stuck_at = None;
            return Ok(());
        }
        let waiting = self.next.wrapping_sub(done);
        if waiting < BATCH as u32 {
            return Ok(());
        }
        self.send()?;
        if self.shared.done().0 == done { Err(self.congested(waiting)) } else { Ok(()) }
    }
}

impl Transmit for XdpTransmit {
    fn queue(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        self.attachment.admit(frame)?;
        if frame.len() > CHUNK {
            return Err(LinkError::Length {
                interface: self.attachment.name().to_owned(),
                length: frame.len(),
                least: 0,
                most: CHUNK,
            });
        }
        if let Some(left) = self.turn.checked_sub(1) {
            self.turn = left;
            match self.beside.queue(frame) {
                Err(LinkError::Congested { .. }) => self.turn = 0,
                taken => return taken,
            }
        }
        self.admit_more()?;
        if self.next.wrapping_sub(self.handed) >= BATCH as u32 {
            self.send()?;
        }
        let chunk = self.chunk()?;
        self.shared.socket.write(chunk, frame);
        let tagged = frame.get(12..14) == Some(&ETHERTYPE_VLAN);
        let waiting = Waiting { chunk, length: frame.len() as u32, tagged };
        at(&self.shared.queued, self.next).store(waiting.pack(), Ordering::Relaxed);
        self.next = self.next.wrapping_add(1);
        self.longest = self.longest.max(frame.len());
        Ok(())
    }

    fn flush(&mut self) -> Result<usize, LinkError> {
        self.send()?;
        let beside = self.beside.flush()?;
        let (done, lost) = self.shared.done();
        let sent = done.wrapping_sub(lost);
        let news = sent.wrapping_sub(self.told);
        self.told = sent;
        Ok(news as usize + beside)
    }

    fn settle(&mut self, patience: Duration) -> Result<usize, LinkError> {
        let began = Instant::now();
        let mut sent = 0;
        loop {
            sent += self.flush()?;
            let waiting = self.next.wrapping_sub(self.shared.done().0);
            if waiting == 0 {
                // What went between the count and the look.
                return Ok(sent + self.flush()?);
            }
            if began.elapsed() > patience {
                return Err(self.congested(waiting));
            }
            thread::sleep(ROOM_PAUSE);
        }
    }

    fn interface(&self) -> &str {
        self.attachment.name()
    }
}

impl Drop for XdpTransmit {
    /// What was flushed goes out still, in a bounded time.
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Release);
        if let Helper::Runs(thread) = std::mem::replace(&mut self.helper, Helper::Refused) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn start(shared: &Arc<Shared>) -> Helper {
    let shared = Arc::clone(shared);
    let named = thread::Builder::new().name("link-kicker".to_owned());
    // The mask is inherited: no signal of the sweep's is ever taken by the thread.
    let started = process::with_signals_blocked(|| named.spawn(move || help(&shared)));
    started.map_or(Helper::Refused, Helper::Runs)
}

/// The thread: sends what waits, sleeps while nothing does.
fn help(shared: &Shared) {
    // It may have been started before the sweep gave up its rights, which are a thread's own. What it
    // does needs none.
    if privilege::drop_all().is_err() {
        return;
    }
    loop {
        let drained = shared.kicker().drain(shared);
        let fault = match drained {
            Ok(()) => NO_FAULT,
            Err(Halt::Congested) => CONGESTED,
            Err(Halt::Refused(error)) => error.raw_os_error().unwrap_or(libc::EIO),
        };
        if fault != NO_FAULT {
            shared.fault.store(fault, Ordering::Release);
        }
        if shared.ends.load(Ordering::Acquire) {
            return;
        }
        if fault != NO_FAULT || !shared.gets_more_soon() {
            thread::park();
        }
    }
}
