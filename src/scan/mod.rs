//! The stateless engine: target order, tokens, pacing, send and receive.
