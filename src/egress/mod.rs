//! Ways out to the internet: what is asked, with which token, and the collector that sees it outside.
//!
//! Every probe carries a token ([`token`]) made with the egress key, in the fields that an answer must
//! echo or that arrive at the collector. The collector ([`witness`]) knows the key alone: it recognises
//! tokens of any sweep and writes receipts ([`receipt`]). Who holds the sweep's probes ([`crate::observe::EgressProbe`])
//! and the key tells which receipt is of which probe, and what is forged, replayed, late or somebody
//! else's ([`ledger`]).

pub mod dns;
pub mod field;
mod http1;
pub mod ledger;
pub mod next_hop;
mod outcome;
pub mod port_mapping;
pub mod proxy;
pub mod receipt;
pub mod spoofed_source;
pub mod token;
pub mod witness;

pub use outcome::Outcome;
