//! The rules: one file each, pure, in one list.
//!
//! A rule's doc comment is its page of the reference, with headings that a test checks.

mod access_after_withdrawal;
mod asset_mismatch;
mod egress_filing_expired;
mod egress_mismatch;
mod filing_expired;
mod foreign_segment;
mod hidden_network;
mod interface_device_changed;
mod interface_device_missing;
mod interface_device_replaced;
mod registered_asset_absent;
mod retired_system_online;
mod rogue_dhcp_server;
mod rogue_router_advertisement;
mod unregistered_device;
mod unregistered_egress;
mod unregistered_router;
mod unregistered_segment;
mod unregistered_service;
mod unregistered_tunnel;

use super::findings::Findings;
use super::view::View;

/// One rule of the contract's table.
pub trait Rule: Sync {
    /// The contract's word.
    fn name(&self) -> &'static str;

    /// Puts down what breaks the rule. Pure: nothing but the view decides.
    fn check(&self, view: &View<'_>, findings: &mut Findings);
}

/// Every rule, in the order of the contract's table.
pub const ALL: &[&dyn Rule] = &[
    &unregistered_segment::UnregisteredSegment,
    &foreign_segment::ForeignSegment,
    &unregistered_device::UnregisteredDevice,
    &asset_mismatch::AssetMismatch,
    &unregistered_router::UnregisteredRouter,
    &rogue_dhcp_server::RogueDhcpServer,
    &rogue_router_advertisement::RogueRouterAdvertisement,
    &hidden_network::HiddenNetwork,
    &unregistered_tunnel::UnregisteredTunnel,
    &interface_device_replaced::InterfaceDeviceReplaced,
    &interface_device_changed::InterfaceDeviceChanged,
    &interface_device_missing::InterfaceDeviceMissing,
    &access_after_withdrawal::AccessAfterWithdrawal,
    &unregistered_egress::UnregisteredEgress,
    &egress_mismatch::EgressMismatch,
    &egress_filing_expired::EgressFilingExpired,
    &unregistered_service::UnregisteredService,
    &retired_system_online::RetiredSystemOnline,
    &filing_expired::FilingExpired,
    &registered_asset_absent::RegisteredAssetAbsent,
];
