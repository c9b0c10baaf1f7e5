//! Frames a second over a veth pair of its own, by each way of sending, beside a bare AF_XDP sender.
//!
//! Not criterion: a round sends a million frames, and the ways take turns, so that what else the machine
//! does hits all alike. `cargo bench --bench link`; a word of [`Io`] or `bare` behind `--` runs that
//! one alone, for a profiler. Needs root, and says "not run" without.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use jiebei::link::sys::{netns, xdp::XdpSocket};
use jiebei::link::{self, Io, LinkError, Options, Transmit, interfaces, privilege};

const FRAMES: u32 = 1_000_000;
const ROUNDS: usize = 5;
const FLUSH_EVERY: u32 = 64;

/// Two namespaces and a cable, `va` in the first and `vb` in the second.
struct Cable {
    names: [String; 2],
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status();
    assert!(status.is_ok_and(|status| status.success()), "ip {arguments}");
}

impl Cable {
    fn lay() -> Cable {
        let names = ['a', 'b'].map(|end| format!("jbench{}{end}", std::process::id()));
        let [a, b] = &names;
        ip(&format!("netns add {a}"));
        ip(&format!("netns add {b}"));
        ip(&format!("-n {a} link add va type veth peer name vb netns {b}"));
        ip(&format!("-n {a} link set va up"));
        ip(&format!("-n {b} link set vb up"));
        Cable { names }
    }

    /// Does something on a thread that stands in one of the two.
    fn inside<T: Send>(&self, end: usize, work: impl FnOnce() -> T + Send) -> T {
        let path = PathBuf::from("/run/netns").join(&self.names[end]);
        let there = move || {
            netns::enter(&path).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(there).join().unwrap())
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns del {name}"));
        }
    }
}

/// A TCP SYN's length, to a station that nobody has.
fn frame(number: u32) -> [u8; 60] {
    let mut frame = [0x5a; 60];
    frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 0xb]);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 0xa]);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame[14..18].copy_from_slice(&number.to_be_bytes());
    frame
}

/// Frames a second by a link, until the kernel has taken the last.
fn by_link(transmit: &mut dyn Transmit) -> f64 {
    let began = Instant::now();
    let mut sent = 0;
    let mut take = |flushed: Result<usize, LinkError>| match flushed {
        Ok(frames) => sent += frames,
        Err(LinkError::Congested { .. }) => {}
        Err(error) => panic!("{error}"),
    };
    for number in 0..FRAMES {
        let frame = frame(number);
        while let Err(error) = transmit.queue(&frame) {
            take(Err(error));
        }
        if number % FLUSH_EVERY == FLUSH_EVERY - 1 {
            take(transmit.flush());
        }
    }
    take(transmit.settle(Duration::from_secs(5)));
    let rate = f64::from(FRAMES) / began.elapsed().as_secs_f64();
    assert_eq!(sent, FRAMES as usize, "told as sent");
    rate
}

/// Frames a second by nothing but descriptors and calls: the frames lie in the chunks already.
fn bare(socket: &XdpSocket) -> f64 {
    const CHUNKS: u32 = 2048;
    for chunk in 0..CHUNKS {
        socket.write(chunk, &frame(chunk));
    }
    let (mut produced, mut completed) = (socket.consumed(), socket.completed());
    let end = produced.wrapping_add(FRAMES);
    let began = Instant::now();
    while produced != end {
        for _ in 0..FLUSH_EVERY.min(end.wrapping_sub(produced)) {
            socket.describe(produced, produced % CHUNKS, 60);
            produced = produced.wrapping_add(1);
        }
        socket.produce(produced);
        while socket.consumed() != produced {
            let _ = socket.kick();
        }
        // Chunks are used again after CHUNKS frames: by then they have come back.
        while produced.wrapping_sub(completed) > CHUNKS - FLUSH_EVERY {
            completed = socket.completed();
        }
        completed = socket.completed();
        socket.take_completions(completed);
    }
    f64::from(FRAMES) / began.elapsed().as_secs_f64()
}

fn interface_index() -> u32 {
    let all = interfaces::interfaces().unwrap();
    all.iter().find(|interface| interface.name == "va").unwrap().index
}

fn open(io: Io) -> Box<dyn Transmit> {
    link::open("va", io, &Options { ring: 1 << 20, ..Options::default() }).unwrap().0
}

/// One measurement, the link or socket made anew: there is one AF_XDP socket a queue.
fn measure(cable: &Cable, io: Option<Io>) -> f64 {
    cable.inside(0, || match io {
        Some(io) => by_link(open(io).as_mut()),
        None => {
            // The queue is free a moment after the socket before was closed.
            let index = interface_index();
            let mut tries = (0..100).filter_map(|_| {
                thread::sleep(Duration::from_millis(10));
                XdpSocket::open(index, 2048).ok()
            });
            bare(&tries.next().unwrap())
        }
    })
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn name(io: Option<Io>) -> &'static str {
    io.map_or("bare", Io::word)
}

fn main() {
    if !privilege::has_net_raw() {
        println!("not run: needs root");
        return;
    }
    let cable = Cable::lay();
    let ways = [None].into_iter().chain(Io::ALL.map(Some));
    let word = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let ways: Vec<_> =
        ways.filter(|io| word.as_deref().is_none_or(|word| word == name(*io))).collect();
    println!(
        "nobody listens at the other end ({ROUNDS} rounds of {FRAMES} frames, the middle one):"
    );
    let mut rates = vec![Vec::new(); ways.len()];
    for _ in 0..if word.is_some() { 1 } else { ROUNDS } {
        for (io, rates) in ways.iter().zip(&mut rates) {
            rates.push(measure(&cable, *io));
        }
    }
    for (io, rates) in ways.iter().zip(rates) {
        println!("  {:5} {:9.0} a second", name(*io), median(rates));
    }
    if word.is_some() {
        return;
    }
    println!("a ring listens at the other end:");
    for io in ways {
        let options = Options { ring: 64 << 20, snap: 96, ..Options::default() };
        let mut receive =
            cable.inside(1, || link::open_receive("vb", Io::Batch, &options).unwrap());
        let listening = thread::spawn(move || {
            let (mut heard, mut fullest) = (0u64, 0f64);
            let mut ends: Option<(Instant, Instant)> = None;
            loop {
                fullest = fullest.max(receive.fill());
                let round = receive.receive(Duration::from_millis(300), &mut |_| heard += 1);
                if round.unwrap() == 0 {
                    break;
                }
                let now = Instant::now();
                ends = Some((ends.map_or(now, |(first, _)| first), now));
            }
            let took = ends.map_or(1.0, |(first, last)| (last - first).as_secs_f64());
            (heard, receive.dropped().unwrap(), heard as f64 / took, fullest)
        });
        let sent = measure(&cable, io);
        let (heard, dropped, rate, fullest) = listening.join().unwrap();
        println!(
            "  {:5} {sent:9.0} a second sent, {rate:9.0} heard; {heard} in all, {dropped} dropped, \
             ring at most {:.0} % full",
            name(io),
            100.0 * fullest,
        );
    }
}
