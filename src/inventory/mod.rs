//! Folding observations into devices, segments, services and egresses.
