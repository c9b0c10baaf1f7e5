//! The stateless engine: target order, tokens, templates, the send and receive loop.
//!
//! The engine keeps no list of what it asked. Three ideas replace it.
//!
//! **The order** ([`order`]) is a keyed permutation of the index space *hosts × questions*: the n-th
//! thing to ask is computed from n, so a pass resumes from one number, and shard i of n is every n-th
//! number. Questions go round-robin over hosts, each host's ports beginning at another place, so one
//! address is asked as seldom as the pass allows, and neighbouring addresses are far apart.
//!
//! **The token** ([`token`]) is a keyed hash of *what was asked of whom*, written into the fields that
//! an answer must echo. Whoever did not see the question cannot forge an answer; and an answer tells
//! by itself which question it belongs to, with nothing looked up.
//!
//! **The template** ([`probe`]) is a finished frame in which stamping patches the few fields that
//! differ, with sums already taken over the rest.
//!
//! What remains per pass is one bit for each question, *answered or not*, so that a retry asks only the
//! silent. The engine has neither clock nor socket: a [`World`] gives it both. Frames leave by the
//! world's [`Fence`](crate::scope::Fence) and by nothing else.

pub mod care;
pub mod engine;
pub mod link_wide;
pub mod next_hop;
pub mod order;
pub mod pass;
pub mod probe;
pub mod recogniser;
pub mod source_ports;
pub mod token;
pub mod volley;
pub mod world;

pub use care::{Care, Ear, Silence, Trouble};
pub use engine::{Progress, ScanError, Watcher, listen, run};
pub use next_hop::NextHops;
pub use order::{BadShard, Order, Shard};
pub use pass::{Checkpoint, Linger, Outcome, Pass, QuestionOrder, Targets};
pub use probe::Probe;
pub use recogniser::{Place, Recognised, Recogniser, Record};
pub use source_ports::{PortRange, SourcePorts};
pub use token::{Keys, SweepKey};
pub use volley::{Outstanding, Volley};
pub use world::{Heard, LiveWorld, World};
