//! The approved access registry (接入审批台账): model, readers, check, index.
//!
//! One way in: a reader (`csv`, `xlsx`, `json`, `netbox`) finds tables and rows, `intake` turns their
//! cells into the model and notes every fault with its place, `check` holds the tables against each
//! other. Whoever asks afterwards asks the [`Index`]. No room logic knows the clock: the day is an argument.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::panic,
        clippy::todo,
        clippy::arithmetic_side_effects
    )
)]

mod cell;
mod check;
mod csv;
pub mod draw;
pub mod fault;
pub mod index;
mod intake;
mod json;
pub mod model;
#[cfg(feature = "netbox")]
mod netbox;
pub mod read;
pub mod schema;
pub mod write;
#[cfg(feature = "xlsx")]
mod xlsx;

pub use draw::{draw, paint};
pub use fault::{Fault, FaultKind, Severity};
pub use index::{Approval, Index, Subject};
pub use model::Registry;
pub use read::{Loaded, ReadOptions, Refused, Token, read};
pub use write::{WriteError, convert, described, template};
