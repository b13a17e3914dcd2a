//! Sockets as a source: syslog over UDP, TCP, TLS and RELP.
