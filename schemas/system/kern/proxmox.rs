//! The log of Proxmox's firewall: `VMID LOGID CHAIN dd/Mmm/yyyy:hh:mm:ss ±hhmm POLICY: PACKET`
//! (<https://pve.proxmox.com/wiki/Firewall#_logging_of_firewall_rules>). No syslog precedes it.

use crate::find::Find;
use crate::{Event, fields, time};

/// Levels by the numbers that the firewall gives them, which are syslog's.
const LEVELS: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
/// A guest's number has at most nine digits.
const VM_ID_BYTES_MAX: usize = 9;

/// Sets what stands before the message and gives the message; `None` if it is something else.
pub(crate) fn line<'a>(text: &'a str, event: &mut Event<'a>) -> Option<&'a str> {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (guest, rest) = text.split_on_byte(b' ')?;
    if guest.is_empty() || guest.len() > VM_ID_BYTES_MAX || !is_number(guest) {
        return None;
    }
    let (level, rest) = rest.split_on_byte(b' ')?;
    if level.len() != 1 || level != "-" && !is_number(level) {
        return None;
    }
    let (chain, rest) = rest.split_on_byte(b' ')?;
    let (stamp, used) = time::parse_clf(rest.as_bytes())?;
    let message = rest.get(used..)?.trim();
    event.time(stamp);
    event.set(fields::iptables::proxmox::VM_ID, guest);
    event.set_clean(fields::rule::RULESET, chain);
    if let Some(level) = level.parse().ok().and_then(|level: usize| LEVELS.get(level)) {
        event.set(fields::log::LEVEL, *level);
    }
    event.set_clean(fields::MESSAGE, message);
    Some(message)
}
