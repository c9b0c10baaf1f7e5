//! What people and programs read of a result: one file a format.
