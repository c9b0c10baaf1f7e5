//! The conductor: profile, plan, passes, progress, checkpoints.

pub mod profile;
