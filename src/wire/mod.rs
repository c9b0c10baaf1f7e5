//! Packet formats: build and parse, one file a protocol. Total functions over bytes.
