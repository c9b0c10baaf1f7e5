//! The engine against networks in memory, by hand-moved time.
//!
//! [`network`] is what lies behind the fence: hosts, the weather on the way to them, and boxes that do harm or
//! take it. [`bench`] runs passes in it and checks afterwards what must hold in every network. A seed decides
//! everything that looks like chance, so what failed once fails again.

mod answers;
mod bench;
mod forgery;
mod limits;
mod network;
mod order;
mod pacing;
mod resume;
mod silence;
mod table;
