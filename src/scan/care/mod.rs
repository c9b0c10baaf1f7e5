//! What a sweep takes care of from pass to pass, beside the ceilings: that it goes no faster than the
//! answers can be heard ([`throttle`]), and that the network it asks is still there ([`control`]).
//!
//! Both are pure: they are told the time and what happened, and say what follows.

pub mod control;
pub mod throttle;

use std::time::Duration;

pub use control::{Control, Member, Silence};
pub use throttle::{Slowed, Throttle, Trouble};

/// The throttle and the control group of a sweep.
#[derive(Debug, Default)]
pub struct Care {
    pub throttle: Throttle,
    pub control: Control,
}

impl Care {
    /// `seed` draws who is in the control group.
    pub fn new(seed: u64) -> Care {
        Care { throttle: Throttle::default(), control: Control::new(seed) }
    }
}

/// What the receiving side says of itself, since the last time it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ear {
    /// Frames that the kernel threw away.
    pub dropped: u64,
    /// How full the fullest receive ring is: 0 to 1.
    pub fill: f32,
}

/// Frames in a second from a count in a stretch of time.
fn rate_of(frames: u64, stretch: Duration) -> f64 {
    frames as f64 / stretch.as_secs_f64().max(1e-9)
}
