//! The questions to everyone on a link (risk class 2), each asked once or twice a sweep.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::vantage::Station;
use crate::link::LinkError;
use crate::net::special;
use crate::observe::VantageId;
use crate::scan::{self, LiveWorld, Recogniser, Watcher, World};
use crate::scope::Submission;
use crate::wire::build;

/// One question and the address it is asked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    RouterSolicitation(Ipv6Addr),
    AllNodesEcho(Ipv6Addr),
    UnknownOption(Ipv6Addr),
    DhcpDiscover,
    Dhcpv6Solicit(Ipv6Addr),
    MldQuery(Ipv6Addr),
}

/// How long a listener of a group may take to report: RFC 3810 §5.1.3, in milliseconds. A second keeps
/// the answers of a large link apart.
const MLD_RESPONSE_DELAY: u16 = 1000;
/// Answers to a multicast question come at once or within half a second (RFC 4861 §6.2.6).
const AFTER: Duration = Duration::from_millis(700);

impl Question {
    /// Whether every node of the link answers it, and not servers and routers alone.
    pub fn asks_all_nodes(&self) -> bool {
        matches!(self, Question::AllNodesEcho(_) | Question::UnknownOption(_))
    }
}

fn own_ipv6(station: &Station) -> impl Iterator<Item = Ipv6Addr> {
    station.addresses.iter().filter_map(|(address, _)| match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    })
}

fn own_link_local(station: &Station) -> impl Iterator<Item = Ipv6Addr> + Clone {
    let own: Vec<_> = own_ipv6(station).filter(|a| special::is_link_local((*a).into())).collect();
    own.into_iter().take(1)
}

/// Router solicitation, then echo and unknown option from the link-local address and from one other:
/// from a unique-local source only those answer that have such an address (measured).
pub fn usual(station: &Station) -> Vec<Question> {
    let mut questions = Vec::new();
    let sources = own_link_local(station);
    let others = own_ipv6(station).filter(|a| !special::is_link_local((*a).into()));
    for source in sources.clone() {
        questions.push(Question::RouterSolicitation(source));
    }
    for source in sources.chain(others.take(2)) {
        questions.push(Question::AllNodesEcho(source));
        questions.push(Question::UnknownOption(source));
    }
    questions
}

/// One DISCOVER and one SOLICIT; no lease is taken.
pub fn dhcp(station: &Station) -> Vec<Question> {
    let solicit = own_link_local(station).map(Question::Dhcpv6Solicit);
    std::iter::once(Question::DhcpDiscover).chain(solicit).collect()
}

/// The general query, version 2: only where a querier was heard in this sweep.
pub fn mld(station: &Station) -> Vec<Question> {
    own_link_local(station).map(Question::MldQuery).collect()
}

/// Asks each question in turn and listens a moment; says how many frames left.
pub fn ask(
    station: &Station,
    questions: &[Question],
    recogniser: &Recogniser,
    world: &mut LiveWorld,
    watcher: &mut dyn Watcher,
) -> Result<u64, LinkError> {
    let mut sent = 0;
    for question in questions {
        let Some(frame) = frame(*question, station, recogniser) else { continue };
        sent += submit(station.id, &frame, recogniser, world, watcher)?;
    }
    let until = world.now() + AFTER;
    scan::listen(recogniser, world, watcher, until)?;
    Ok(sent)
}

fn submit(
    vantage: VantageId,
    frame: &[u8],
    recogniser: &Recogniser,
    world: &mut LiveWorld,
    watcher: &mut dyn Watcher,
) -> Result<u64, LinkError> {
    loop {
        if watcher.stopping() {
            return Ok(0);
        }
        let now = world.now();
        let fence = world.fence();
        let Ok(permit) = fence.guard().admit_link_wide(vantage) else { return Ok(0) };
        match fence.submit(&permit, frame, now) {
            Submission::Sent => {
                fence.flush()?;
                return Ok(1);
            }
            Submission::Later(wait, _) => scan::listen(recogniser, world, watcher, now + wait)?,
            Submission::Refused(_) => return Ok(0),
            Submission::Failed(error) => return Err(error),
        }
    }
}

fn frame(question: Question, station: &Station, recogniser: &Recogniser) -> Option<Vec<u8>> {
    let transaction = || scan::link_wide::transaction(recogniser, station.id);
    match question {
        Question::RouterSolicitation(source) => {
            Some(build::router_solicitation(station.mac, source))
        }
        Question::AllNodesEcho(source) => scan::link_wide::echo(recogniser, station.id, source),
        Question::UnknownOption(source) => {
            scan::link_wide::unknown_option(recogniser, station.id, source)
        }
        Question::DhcpDiscover => Some(build::dhcp_discover(station.mac, transaction())),
        Question::Dhcpv6Solicit(source) => {
            Some(build::dhcpv6_solicit(station.mac, source, transaction() & 0xff_ffff))
        }
        Question::MldQuery(source) => {
            Some(build::mld_general_query(station.mac, source, MLD_RESPONSE_DELAY))
        }
    }
}
