//! The listener: frames into observations. It cannot send.
