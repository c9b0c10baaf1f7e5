//! Holding the inventory against the registry: pure rules, one file each.
