//! Netlink.
use super::interfaces::*;
use thiserror::Error;
#[derive(Debug, Error)]
pub enum NetlinkError {
    #[error("netlink: {what}: {source}")]
    System { what: &'static str, source: std::io::Error },
    #[error("netlink: the kernel's table changed during each of {0} readings")]
    Changing(u32),
}
pub(super) fn interfaces() -> Result<Vec<Interface>, NetlinkError> {
    todo!()
}
pub(super) fn routes() -> Result<Vec<Route>, NetlinkError> {
    todo!()
}
pub(super) fn neighbours() -> Result<Vec<Neighbour>, NetlinkError> {
    todo!()
}
