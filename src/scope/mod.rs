//! The fence: what may be asked, at which rate, by which class of probe.
//!
//! Everything that leaves for the network passes [`Fence::submit`], which owns the sending halves of
//! the links and takes a frame only together with a permit. Permits ([`Target`], [`LinkWide`],
//! [`Steered`], [`Spoofed`]) have private fields and are made by the [`Guard`] alone, from the [`Rules`] of the
//! sweep. What must hold, whatever the engine above does:
//!
//! 1. **No frame without a permit, and none beside it.** The fence reads every frame with its own
//!    reader and compares: the Ethernet source is the vantage's, the IP or ARP source its own, the
//!    destination (IP destination, ARP target, NS target) the permit's address. A frame it cannot
//!    read to the end, a tunnel, a source route, a VLAN tag, an advertisement or an answer in
//!    somebody's name is refused.
//! 2. **Outside the scope nothing is asked.** In the scope are its prefixes and the link-local
//!    addresses of a swept link, less what is excluded. A canary is the one other destination, and
//!    only a steered frame may have it.
//! 3. **Excluded is excluded on every layer**: never an IP destination, ARP or NS target, and its
//!    MAC, once heard, never an Ethernet destination, under whatever address.
//! 4. **A fragile address (`observe_only`) gets one gentle question a sweep**: one ARP request, one
//!    neighbour solicitation or one echo. Its MAC is never steered through.
//! 5. **A source that is not ours** is a canary's, at risk class 3 alone, with a permit of its own
//!    ([`Spoofed`]), in one unicast request to an admitted target.
//! 6. **Groups and broadcast** are reached only at risk class 2 with a link-wide permit, and only on
//!    the link. The address resolution of an admitted target is class 1.
//! 7. **The ceilings hold over any one-second window**, for the sweep, for each address and for what is unheard of in
//!    each prefix behind a router, and count what our own kernel sends because of us ([`ceilings`]). Sweeps that go by one
//!    interface share them. No ceiling at all is an order of its own, for a lab.
//! 8. **A conversation of our kernel's sockets** takes its leave here too ([`Fence::converse`]), and its
//!    places under the ceilings before it begins. Only a permit opens a socket. The collector's address
//!    for receipts, named in the rules, is the one such destination outside the scope.
//! 9. **Outside the window of the authorisation nothing is sent.**

pub mod ceilings;
mod connector;
mod conversation;
mod fence;
pub mod frame;
mod guard;
mod keyed;
mod windows;

pub use ceilings::{Ceilings, UNLIMITED};
pub use connector::{ConnectPermit, Connected, Connector, Leave};
pub use conversation::{
    Conversation, ConversationPermit, Datagrams, FRAMES, Patience, To, Transport, Wanted,
};
pub use fence::{Counts, Fence, Permit, Submission};
pub use guard::{Class, Guard, LinkWide, Refusal, Risk, Rules, Spoofed, Steered, Target, Vantage};
