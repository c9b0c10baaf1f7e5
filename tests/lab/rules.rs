//! Every rule fires on what was planted for it, and on nothing else.
//!
//! `town`, `county` and `crossing` hold violations of the rules beside decoys that nearly break
//! them, `exits` the ways out; in `quiet` everything is as the registry says.

use crate::raised::privileged;
use crate::swept::{assert_as_planted, swept};

const ALL: [&str; 5] = ["town", "county", "crossing", "quiet", "exits"];

fn fires(rule: &str) {
    if !privileged() {
        return;
    }
    for scenario in ALL {
        assert_as_planted(scenario, &swept(scenario).file("result.json"), Some(rule));
    }
}

#[test]
fn unregistered_segment() {
    fires("unregistered-segment");
}

#[test]
fn foreign_segment() {
    fires("foreign-segment");
}

#[test]
fn unregistered_device() {
    fires("unregistered-device");
}

#[test]
fn asset_mismatch() {
    fires("asset-mismatch");
}

#[test]
fn unregistered_router() {
    fires("unregistered-router");
}

#[test]
fn rogue_dhcp_server() {
    fires("rogue-dhcp-server");
}

#[test]
fn rogue_router_advertisement() {
    fires("rogue-router-advertisement");
}

#[test]
fn interface_device_missing() {
    fires("interface-device-missing");
}

#[test]
fn interface_device_replaced() {
    fires("interface-device-replaced");
}

#[test]
fn interface_device_changed() {
    fires("interface-device-changed");
}

#[test]
fn access_after_withdrawal() {
    fires("access-after-withdrawal");
}

#[test]
fn unregistered_service() {
    fires("unregistered-service");
}

#[test]
fn retired_system_online() {
    fires("retired-system-online");
}

#[test]
fn filing_expired() {
    fires("filing-expired");
}

#[test]
fn registered_asset_absent() {
    fires("registered-asset-absent");
}

#[test]
fn unregistered_egress() {
    fires("unregistered-egress");
}

#[test]
fn egress_mismatch() {
    fires("egress-mismatch");
}

#[test]
fn egress_filing_expired() {
    fires("egress-filing-expired");
}

#[test]
fn a_whole_town_is_told_exactly() {
    if privileged() {
        assert_as_planted("town", &swept("town").file("result.json"), None);
    }
}

#[test]
fn a_whole_county_is_told_exactly() {
    if privileged() {
        assert_as_planted("county", &swept("county").file("result.json"), None);
    }
}

#[test]
fn two_wires_are_told_exactly() {
    if privileged() {
        assert_as_planted("crossing", &swept("crossing").file("result.json"), None);
    }
}

#[test]
fn where_all_is_in_order_nothing_is_found() {
    if privileged() {
        assert_as_planted("quiet", &swept("quiet").file("result.json"), None);
    }
}
