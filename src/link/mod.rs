//! Frames in and out: packet rings, capture files, interfaces and routes by netlink.
