//! The published result: its schema, reading and writing it, and the evidence capture.

pub mod v1;
