//! The ring.
use super::*;
pub(super) fn open(interface: &str, options: &Options) -> Result<Halves, LinkError> {
    todo!()
}
pub(super) fn open_receive(
    interface: &str,
    options: &Options,
) -> Result<Box<dyn Receive>, LinkError> {
    todo!()
}
