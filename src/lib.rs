//! Jiebei (界碑): boundary and asset inventory scanner for e-government extranets.
//!
//! The rooms, from the ground up; a room uses what stands below it. See `ARCHITECTURE.md`.
#![deny(unsafe_code)]

pub mod audit;
pub mod cli;
pub mod egress;
pub mod inventory;
pub mod link;
pub mod net;
pub mod observe;
pub mod passive;
pub mod registry;
pub mod report;
pub mod result;
pub mod scan;
pub mod scope;
pub mod sweep;
pub mod texts;
pub mod wire;
