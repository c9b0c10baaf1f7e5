//! The listener: frames into observations. It cannot send.

mod clocks;
pub mod dissect;
mod fragments;
mod heard;
mod limits_l2;
mod listen;
mod passages;
mod reassembly;
pub mod streams;

pub use dissect::dissect;
pub use listen::{Heard, Listener};
