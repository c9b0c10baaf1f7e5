//! The listener: frames into observations. It cannot send.

pub mod dissect;
mod listen;
mod passages;
pub mod streams;

pub use dissect::dissect;
pub use listen::{Heard, Listener};
