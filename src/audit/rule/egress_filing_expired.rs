use super::Rule;
use super::egress_mismatch::of_egress;
use crate::audit::egress::Whose;
use crate::audit::findings::Findings;
use crate::audit::view::View;

/// # What it finds
/// A filed egress that is past its `valid_until` and still leads out.
///
/// # Why it matters
/// An egress is filed for its time; what leads out after it is filed no longer.
///
/// # Evidence
/// The collector's record of a packet that came from the egress's public prefixes or through its gateway, against
/// the row's date. One finding an egress, however many devices leave by it.
///
/// # When it stays silent
/// The last valid day counts as valid; rows without a date; an egress that was not seen to lead out; addresses and
/// gateways that a valid row files as well.
///
/// # What refutes it
/// A filing of the egress that is valid on the day of the sweep.
///
/// # Example
/// The separate egress of a clinic is filed until 2026-06-30 with 203.0.113.32/29; in November a host is seen
/// outside as 203.0.113.34.
pub(super) struct EgressFilingExpired;

impl Rule for EgressFilingExpired {
    fn name(&self) -> &'static str {
        "egress-filing-expired"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        for way in &view.ways {
            if let Whose::Expired(row) = way.whose {
                let mut found = of_egress(self.name(), way, row, view);
                if let Some(until) = row.valid_until {
                    found = found.detail("valid_until", until.to_string());
                }
                findings.put(found);
            }
        }
    }
}
