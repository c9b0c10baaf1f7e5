//! The fence: what may be asked, at which rate, by which class of probe.
