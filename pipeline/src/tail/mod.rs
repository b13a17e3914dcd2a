//! Files as a source: rotation renames or truncates, so a position is an identity and a byte.
