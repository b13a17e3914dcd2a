//! What a rule has written before its packet: Ubiquiti's devices in a form of their own, UFW and
//! people a word of what the rule does.

use crate::find::Find;
use crate::{Event, fields};

/// The most bytes of a prefix that are looked at: the kernel's are at most 128.
const PREFIX_BYTES_MAX: usize = 256;

/// Sets what the text before a packet says of the rule.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) {
    let text = text.trim_end();
    let mut from = text.len().saturating_sub(PREFIX_BYTES_MAX);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let mut text = &text[from..];
    // UniFi's gateways add what the rule is called.
    if let Some((label, description)) = text.split_on(" DESCR=\"") {
        event.set_clean(fields::rule::DESCRIPTION, description.trim_end_matches('"'));
        text = label;
    }
    let bracket = text.strip_suffix(']').and_then(|text| text.rsplit_once('['));
    let text = bracket.map_or(text, |(_, inside)| inside);
    if bracket.is_some() && ubiquiti(text, event) {
        return;
    }
    let mut words = text.rsplit(|c: char| !c.is_ascii_alphabetic());
    if let Some(action) = words.find_map(action) {
        verdict(action, event);
    }
}

/// `WAN_IN-3001-A`, `wan-lan-default-D`, and `WAN_IN-A-3001` of UniFi's gateways: rule set, rule and
/// what it does. A rule set of several words begins with the zones that it stands between.
fn ubiquiti<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let mut parts = text.rsplitn(3, '-');
    let (Some(last), Some(middle), Some(rules)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    let (letters, rule) = if is_number { (middle, last) } else { (last, middle) };
    match letters {
        "A" => verdict("accept", event),
        "RET" if is_number => verdict("accept", event),
        "D" => verdict("drop", event),
        "R" => verdict("reject", event),
        "DNAT" | "SNAT" if is_number => {}
        _ => return false,
    }
    event.set(fields::iptables::ubiquiti::RULE_SET, rules);
    event.set(fields::iptables::ubiquiti::RULE_NUMBER, rule);
    event.set(fields::rule::NAME, rules);
    event.set(fields::rule::ID, rule);
    let mut words = rules.split('-').filter(|word| !word.is_empty());
    if let (Some(from), Some(to)) = (words.next(), words.next()) {
        event.set(fields::iptables::ubiquiti::INPUT_ZONE, from);
        event.set(fields::iptables::ubiquiti::OUTPUT_ZONE, to);
        event.set(fields::observer::ingress::ZONE, from);
        event.set(fields::observer::egress::ZONE, to);
    }
    true
}

fn action(word: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 12] = [
        ("accept", "accept"),
        ("accepted", "accept"),
        ("allow", "accept"),
        ("allowed", "accept"),
        ("block", "drop"),
        ("blocked", "drop"),
        ("deny", "drop"),
        ("denied", "drop"),
        ("drop", "drop"),
        ("dropped", "drop"),
        ("reject", "reject"),
        ("rejected", "reject"),
    ];
    WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known)).map(|(_, action)| *action)
}

fn verdict(action: &'static str, event: &mut Event<'_>) {
    event.set(fields::event::ACTION, action);
    if action == "accept" {
        event.set(fields::event::TYPE, &["connection", "allowed"]);
    } else {
        event.set(fields::event::TYPE, &["connection", "denied"]);
    }
}
