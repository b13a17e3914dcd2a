//! The systemd journal as a source: a cursor is the position.
