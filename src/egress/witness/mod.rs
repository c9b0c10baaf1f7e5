//! The witness: what runs on the internet side for years, alone, and writes down each token that reaches it.
//!
//! ```text
//! interface ──► capture ──┐
//! 53 ─────────► names ────┼─► record ──► journal ──► interface (TLS) ──► access, in a sweep
//! 80, 443 ────► web ──────┘                  └─────► export, carried by hand
//!                              shield: the kernel is kept from answering
//! ```
//!
//! It answers nothing but a token with a right seal, and the zone's own name: no packet for junk, one for one token.
//! Everything that needs a right is opened first; then it is nobody, without a capability, and then
//! the first foreign octet is read. Two threads work beside the runtime's one: a flood on one does not stop the others.

pub mod access;
mod capture;
pub mod certificate;
pub mod export;
pub mod interface;
pub mod journal;
mod name_server;
mod record;
mod shield;
pub mod sign;
mod web;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use self::certificate::{CertificateError, Identity};
use self::interface::{Entry, Interface};
use self::journal::{Journal, JournalError};
use self::name_server::Authority;
pub use self::record::Counts;
use self::record::{Recorder, Seen};
use self::shield::Shield;
pub use self::shield::ShieldError;
use self::sign::Signer;
use self::web::Web;
use super::token::EgressKey;
use crate::link::interfaces::{self, NetlinkError};
use crate::link::privilege::{self, PrivilegeError};
use crate::link::{LinkError, Receive, listener};
use crate::net::special;

/// What is kept of the log by default, in octets.
pub const KEEP: u64 = 512 << 20;
/// The least: a batch of receipts fits into one of the files.
pub const LEAST_KEEP: u64 = 16 << 20;
/// Who it becomes by default.
pub const USER: &str = "nobody";
const DNS: u16 = 53;
const WEB: [u16; 2] = [80, 443];
/// How long an IPv6 address may take until it is known to be nobody else's (RFC 4862 §5.4).
const TENTATIVE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);

/// Where receipts are written.
pub enum LogTo {
    File { path: PathBuf, keep: u64 },
    Stream(Box<dyn io::Write + Send>),
}

/// How the interface is offered.
pub struct Offer {
    pub listen: SocketAddr,
    pub token: Option<String>,
    pub client_authority: Option<Vec<CertificateDer<'static>>>,
}

/// What a collector is told at its start.
pub struct Options {
    pub interface: String,
    pub key: EgressKey,
    /// Without it there is no name server.
    pub zone: Option<String>,
    pub log: LogTo,
    pub offer: Option<Offer>,
    /// Else one is made and kept beside the log.
    pub identity: Option<Identity>,
    pub signer: Option<Signer>,
    pub user: String,
}

#[derive(Debug, Error)]
pub enum WitnessError {
    #[error("not a zone: {0}")]
    BadZone(String),
    #[error("there is no interface {name}; there are: {known}")]
    NoInterface { name: String, known: String },
    #[error("the interface {0} has no address that could be a canary")]
    NoCanary(String),
    #[error("{protocol}/{port} on {address} cannot be opened: {cause}")]
    Port { address: IpAddr, port: u16, protocol: &'static str, cause: io::Error },
    #[error("an interface needs a log in a file")]
    NothingToOffer,
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Shield(#[from] ShieldError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    #[error("the kernel's answers are held back no more: nft ended")]
    ShieldFell,
    #[error("receipts were not written: {0}")]
    LogLost(io::Error),
    #[error("a part of it ended by itself")]
    PartEnded,
    #[error(transparent)]
    System(#[from] io::Error),
}

impl WitnessError {
    /// Whether what it was told is wrong, and not the machine.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            WitnessError::BadZone(_)
                | WitnessError::NoInterface { .. }
                | WitnessError::NoCanary(_)
                | WitnessError::NothingToOffer
                | WitnessError::Journal(_)
                | WitnessError::Certificate(_)
                | WitnessError::Privilege(PrivilegeError::NoSuchUser(_))
        )
    }
}

/// What is told while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It stands, and has given up its rights.
    Started {
        canaries: Vec<IpAddr>,
        pin: Option<String>,
    },
    /// A torn line of so many octets was cut off the log.
    Cut(u64),
    Counts(Counts),
    /// The disk refuses receipts; why.
    LogFails(String),
    LogWorks,
}

/// An open collector: everything is bound, and no right is left.
pub struct Witness {
    key: EgressKey,
    canaries: Arc<[IpAddr]>,
    zone: Option<hickory_proto::rr::Name>,
    shield: Shield,
    link: Box<dyn Receive>,
    journal: Journal,
    cut: u64,
    ports: Ports,
    tls: TlsAcceptor,
    offer: Option<(TcpListener, TlsAcceptor, Entry)>,
    pin: Option<String>,
}

/// The sockets of the canaries.
#[derive(Default)]
struct Ports {
    datagrams: Vec<(UdpSocket, IpAddr)>,
    names: Vec<(TcpListener, IpAddr)>,
    web: Vec<(TcpListener, IpAddr, u16)>,
}

impl Witness {
    /// Opens everything, then gives up every right. No other thread may run before.
    pub fn open(options: Options) -> Result<Witness, WitnessError> {
        let Options { interface, key, zone, log, offer, identity, signer, user } = options;
        let zone = zone
            .map(|zone| name_server::zone(&zone).ok_or(WitnessError::BadZone(zone)))
            .transpose()?;
        let owner = privilege::user(&user)?;
        let owner_if_root = privilege::is_root().then_some(owner);
        let canaries: Arc<[IpAddr]> = canaries(&interface)?.into();

        let log_path = match &log {
            LogTo::File { path, .. } => Some(path.clone()),
            LogTo::Stream(_) => None,
        };
        let (journal, cut) = match log {
            LogTo::File { path, keep } => Journal::open(&path, key.clone(), keep, signer)?,
            LogTo::Stream(stream) => (Journal::to_stream(stream, key.clone(), signer), 0),
        };
        if let Some(owner) = owner_if_root {
            journal.give_to(owner.uid, owner.gid)?;
        }

        let names: Vec<String> = offer
            .iter()
            .map(|offer| offer.listen.ip())
            .filter(|address| !address.is_unspecified())
            .chain(canaries.iter().copied())
            .map(|address| address.to_string())
            .collect();
        let identity = match (identity, &log_path) {
            (Some(identity), _) => identity,
            (None, Some(path)) => certificate::kept(path, names, owner_if_root)?,
            (None, None) => {
                let text = certificate::make(names)?;
                Identity::read(&text, &text)?
            }
        };
        let tls = TlsAcceptor::from(certificate::server(identity.clone_key(), None)?);

        let mut sparing = WEB.to_vec();
        sparing.extend(zone.is_some().then_some(DNS));
        sparing.extend(offer.as_ref().map(|offer| offer.listen.port()));
        let shield = Shield::raise(&canaries, &sparing, owner_if_root)?;
        let mut ports = Ports::open(&canaries)?;
        if zone.is_some() {
            ports.open_names(&canaries)?;
        }
        let mut pin = None;
        let offer = match offer {
            None => None,
            Some(offer) => {
                let listener = listen(offer.listen.ip(), offer.listen.port())?;
                pin = identity.pin().map(|pin| data_encoding::HEXLOWER.encode(&pin));
                let path = log_path.as_deref().ok_or(WitnessError::NothingToOffer)?;
                certificate::write_pin(path, pin.as_deref().unwrap_or_default(), owner_if_root)?;
                let tls = certificate::server(identity, offer.client_authority)?;
                let entry = Entry::new(offer.token.as_deref())
                    .map_err(|_| io::Error::other("no randomness"))?;
                Some((listener, TlsAcceptor::from(tls), entry))
            }
        };
        let link = capture::open(&interface, &canaries)?;
        privilege::become_and_drop(owner)?;
        Ok(Witness { key, canaries, zone, shield, link, journal, cut, ports, tls, offer, pin })
    }

    /// Works until it is told to stop, or a part of it fails. What was recognised by then is written.
    pub fn run(
        self,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Counts, WitnessError> {
        let Witness { mut shield, journal, key, canaries, .. } = self;
        let (recorder, receiver) = Recorder::new();
        let counters = Arc::clone(&recorder.counters);
        let fault = Mutex::new(None);
        let ended = AtomicBool::new(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if self.cut > 0 {
            tell(Event::Cut(self.cut));
        }
        let interface = match (&self.offer, journal.shelf()) {
            (Some(_), Some(shelf)) => Some((
                shelf,
                self.zone.as_ref().map(|zone| zone.to_ascii().trim_end_matches('.').to_owned()),
            )),
            _ => None,
        };
        let web = Arc::new(Web::new(key.clone(), self.tls, recorder.clone()));
        let authority = self.zone.map(|zone| Arc::new(Authority::new(zone, key.clone())));
        {
            let _inside = runtime.enter();
            self.ports.serve(&web, authority.as_ref(), &recorder)?;
            if let (Some((listener, tls, entry)), Some((shelf, zone))) = (self.offer, interface) {
                let interface = Interface {
                    key: key.clone(),
                    shelf,
                    counters: Arc::clone(&counters),
                    since: Timestamp::now(),
                    canaries: Arc::clone(&canaries),
                    zone,
                    entry,
                };
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::spawn(interface::serve(Arc::new(interface), listener, tls));
            }
        }
        drop(web);
        tell(Event::Started { canaries: canaries.to_vec(), pin: self.pin });
        let link = self.link;
        thread::scope(|scope| {
            let ended = &ended;
            let capturing = {
                let (recorder, key, canaries) = (recorder.clone(), key.clone(), &canaries);
                scope.spawn(move || capture::run(link, &key, canaries, &recorder, ended))
            };
            let writing = {
                let (counters, fault) = (&counters, &fault);
                scope.spawn(move || record::write(journal, &receiver, counters, fault, ended))
            };
            drop(recorder);
            let mut outcome = Ok(());
            let mut told = Told { counts: Counts::default(), at: Instant::now() };
            runtime.block_on(async {
                while !stop.load(Ordering::Relaxed) {
                    tokio::time::sleep(TICK).await;
                    told.changes(&counters.now(), &fault, tell);
                    if !shield.stands() {
                        outcome = Err(WitnessError::ShieldFell);
                    } else if capturing.is_finished() || writing.is_finished() {
                        outcome = Err(WitnessError::PartEnded);
                    }
                    if outcome.is_err() {
                        break;
                    }
                }
            });
            ended.store(true, Ordering::Relaxed);
            // The tasks hold recorders: without them the writer sees the end.
            drop(runtime);
            match capturing.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => outcome = Err(error.into()),
                Err(_) => outcome = Err(WitnessError::PartEnded),
            }
            match writing.join() {
                Ok(None) => {}
                Ok(Some(error)) => outcome = outcome.and(Err(WitnessError::LogLost(error))),
                Err(_) => outcome = outcome.and(Err(WitnessError::PartEnded)),
            }
            drop(shield);
            outcome.map(|()| counters.now())
        })
    }
}

/// What was last told, so that the same is not told again.
struct Told {
    counts: Counts,
    at: Instant,
}

/// The counts are told at most as often.
const SELDOM: Duration = Duration::from_secs(60);

impl Told {
    fn changes(
        &mut self,
        counts: &Counts,
        fault: &Mutex<Option<String>>,
        tell: &mut dyn FnMut(Event),
    ) {
        if counts.log_fails != self.counts.log_fails {
            self.counts.log_fails = counts.log_fails;
            let why = fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
            tell(match counts.log_fails {
                true => Event::LogFails(why.unwrap_or_default()),
                false => Event::LogWorks,
            });
        }
        if *counts != self.counts && self.at.elapsed() >= SELDOM {
            (self.counts, self.at) = (*counts, Instant::now());
            tell(Event::Counts(*counts));
        }
    }
}

impl Ports {
    /// The web server's.
    fn open(canaries: &[IpAddr]) -> Result<Ports, WitnessError> {
        let mut ports = Ports::default();
        for canary in canaries {
            for port in WEB {
                ports.web.push((listen(*canary, port)?, *canary, port));
            }
        }
        Ok(ports)
    }

    /// The name server's as well, where there is a zone to serve.
    fn open_names(&mut self, canaries: &[IpAddr]) -> Result<(), WitnessError> {
        for canary in canaries {
            let socket = UdpSocket::bind((*canary, DNS)).and_then(|socket| {
                socket.set_nonblocking(true)?;
                Ok(socket)
            });
            let socket = socket.map_err(|cause| of_port(*canary, DNS, "udp", cause))?;
            self.datagrams.push((socket, *canary));
            self.names.push((listen(*canary, DNS)?, *canary));
        }
        Ok(())
    }

    /// Starts a task a socket; inside of a runtime.
    fn serve(
        self,
        web: &Arc<Web>,
        authority: Option<&Arc<Authority>>,
        recorder: &Recorder,
    ) -> io::Result<()> {
        for (listener, canary, port) in self.web {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(web::serve(Arc::clone(web), listener, canary, port));
        }
        let Some(authority) = authority else { return Ok(()) };
        for (socket, canary) in self.datagrams {
            let socket = tokio::net::UdpSocket::from_std(socket)?;
            let (authority, recorder) = (Arc::clone(authority), recorder.clone());
            tokio::spawn(name_server::serve_datagrams(authority, socket, canary, recorder));
        }
        for (listener, canary) in self.names {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let (authority, recorder) = (Arc::clone(authority), recorder.clone());
            tokio::spawn(name_server::serve_streams(authority, listener, canary, recorder));
        }
        Ok(())
    }
}

fn of_port(address: IpAddr, port: u16, protocol: &'static str, cause: io::Error) -> WitnessError {
    WitnessError::Port { address, port, protocol, cause }
}

fn listen(address: IpAddr, port: u16) -> Result<TcpListener, WitnessError> {
    let open = || {
        let socket = TcpListener::bind((address, port))?;
        listener::answer_sparingly(&socket)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    open().map_err(|cause| of_port(address, port, "tcp", cause))
}

/// The interface's own addresses, without link-local ones. Waits a little for IPv6 addresses that are not settled.
fn canaries(name: &str) -> Result<Vec<IpAddr>, WitnessError> {
    let deadline = Instant::now() + TENTATIVE;
    loop {
        let all = interfaces::interfaces()?;
        let Some(interface) = all.iter().find(|interface| interface.name == name) else {
            let known: Vec<_> = all.iter().map(|interface| interface.name.as_str()).collect();
            let name = name.chars().take(32).collect();
            return Err(WitnessError::NoInterface { name, known: known.join(" ") });
        };
        let wanted: Vec<_> = interface
            .addresses
            .iter()
            .filter(|own| !special::is_link_local(own.address) && !own.address.is_loopback())
            .collect();
        if wanted.iter().all(|own| !own.unusable) || Instant::now() >= deadline {
            let mut canaries: Vec<IpAddr> =
                wanted.iter().filter(|own| !own.unusable).map(|own| own.address).collect();
            canaries.sort();
            canaries.dedup();
            if canaries.is_empty() {
                return Err(WitnessError::NoCanary(name.to_owned()));
            }
            return Ok(canaries);
        }
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::token::Token;
    use crate::observe::{Carrier, EgressProbe, VantageId};

    /// A token of sweep `s` under the key of sevens.
    pub fn token(carrier: Carrier) -> Token {
        numbered(carrier, 1)
    }

    pub fn numbered(carrier: Carrier, number: u32) -> Token {
        let probe = EgressProbe::sample(number, carrier);
        EgressKey::from_bytes([7; 32]).token("s", VantageId(0), &probe)
    }
}
