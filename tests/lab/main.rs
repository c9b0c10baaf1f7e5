//! The lab: sweeps of real hosts in network namespaces, judged by foreign witnesses.
//!
//! A scenario is a folder of `tests/lab/scenarios`: the network it raises, the registry and profile
//! it is swept with, and the findings that must come of it, no more and no fewer. `scripts/lab`
//! raises them, for these tests, for `scripts/demo` and by hand.
//!
//! Without root nothing here runs, and each test says so.

mod conduct;
mod evidence;
mod exits;
mod fence;
mod listening;
mod raised;
mod rules;
mod scenarios;
mod six;
mod swept;
