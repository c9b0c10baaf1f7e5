//! The conductor: profile, plan, passes, progress, checkpoints.

pub mod candidates;
pub mod checkpoint;
mod conductor;
mod head;
mod intake;
mod judge;
mod link_wide;
mod live;
mod orders;
pub mod plan;
pub mod profile;
pub mod question;
pub mod record;
mod remembered;
mod replay;
mod reverse_walk;
pub mod share;
mod snmp_walk;
mod spool;
mod tape;
pub mod territory;
mod unprivileged;
pub mod vantage;
mod vigil;
mod watch;
pub mod witnessed;
mod zone_transfer;

pub use conductor::{End, Reporter, Seen, SweepError, Swept, WhyNot, sweep};
pub use head::head;
pub use intake::lock;
pub use judge::{Case, day_of, judge, put};
pub use orders::{EgressOrders, Forbidden, Machine, Orders, may_begin};
pub use remembered::{MOST_REMEMBERED, Remembered};
pub use replay::replay;
pub use tape::{MOST_INTEREST, Tape};
pub use unprivileged::unprivileged;
pub use vigil::{Counters, Cut, Handed, Vigil, Watching};
pub use watch::{watch, watch_head};

/// The program and version that a result names.
pub const GENERATOR: &str = concat!("jiebei ", env!("CARGO_PKG_VERSION"));
