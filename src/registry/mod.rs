//! The approved access registry: model, readers, check, index.

pub mod model;
