//! The conductor: profile, plan, passes, progress, checkpoints.
