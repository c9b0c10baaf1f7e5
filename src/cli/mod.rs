//! One file a command. It parses, calls the rooms below, and speaks to people.
