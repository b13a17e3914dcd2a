//! VPC flow logs: columns with spaces between them, in the order of a header, in the default order,
//! or in one of those that AWS's documentation proposes.

use std::net::IpAddr;
use std::sync::LazyLock;

use crate::datasets::system_kern::Flow;
use crate::find::{Find, words};
use crate::time::Time;
use crate::{Event, Field, fields, protocol};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Account,
    Source,
    Destination,
    SourcePort,
    DestinationPort,
    Protocol,
    Packets,
    Bytes,
    Start,
    End,
    Action,
    Instance,
    Flags,
    Type,
    Address(Field),
    Text(Field),
    /// Of a version that is not known here; the line is kept as message.
    Unknown,
}

/// The default format, which is version 2.
const DEFAULT: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol \
                       packets bytes start end action log-status";
/// Its columns.
const DEFAULT_COLUMNS: usize = 14;
/// More than any of the known formats has.
const COLUMNS_MAX: usize = 32;
/// What the name of every interface has.
const INTERFACE: &str = "eni-";
/// Formats that AWS's documentation proposes, which Elastic's module tells by their length: of NAT
/// gateways, of transit gateways, of sequences of TCP's flags, and of all columns up to version 5.
const PROPOSED: [&str; 4] = [
    "instance-id interface-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr",
    "version interface-id account-id vpc-id subnet-id instance-id srcaddr dstaddr srcport dstport \
     protocol tcp-flags type pkt-srcaddr pkt-dstaddr action log-status",
    "version vpc-id subnet-id instance-id interface-id account-id type srcaddr dstaddr srcport \
     dstport pkt-srcaddr pkt-dstaddr protocol bytes packets start end action tcp-flags log-status",
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start \
     end action log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr \
     region az-id sublocation-type sublocation-id pkt-src-aws-service pkt-dst-aws-service \
     flow-direction traffic-path",
];
/// The columns of the default format and of those that are proposed.
static KNOWN: LazyLock<[Vec<Column>; 5]> = LazyLock::new(|| {
    let [nat, transit, flags, all] = PROPOSED.map(columns);
    [columns(DEFAULT), nat, transit, flags, all]
});
/// Fewer names than this could be words of a sentence.
const NAMES_MIN: usize = 3;
/// AWS names no more columns than this, with room.
const HEADER_BYTES_MAX: usize = 2048;
/// Names of TCP's flags, lowest bit first.
const FLAGS: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];

/// The columns that a header names; none if it is no header.
pub(super) fn columns(header: &str) -> Vec<Column> {
    let others = names_flow(header).then_some(Column::Unknown);
    let names = words(header);
    names.map(|name| column(name).or(others)).collect::<Option<_>>().unwrap_or_default()
}

/// Whether a line has the two names that no sentence has: then others may be of a later version,
/// or of a transit gateway.
fn names_flow(line: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    line.bytes().all(|byte| is_part(byte) || byte.is_ascii_whitespace())
        && ["srcaddr", "dstaddr"].iter().all(|wanted| words(line).any(|name| name == *wanted))
}

/// Whether a line is nothing but names of columns.
pub(super) fn is_header(line: &[u8]) -> bool {
    let first = line.first().is_some_and(u8::is_ascii_lowercase);
    if !first || line.len() > HEADER_BYTES_MAX {
        return false;
    }
    let Ok(line) = std::str::from_utf8(line) else { return false };
    if names_flow(line) {
        return true;
    }
    let mut names = 0;
    words(line).all(|name| {
        names += 1;
        column(name).is_some()
    }) && names >= NAMES_MIN
}

fn column(name: &str) -> Option<Column> {
    use fields::aws::vpcflow;
    Some(match name {
        "version" => Column::Text(vpcflow::VERSION),
        "account-id" => Column::Account,
        "interface-id" => Column::Text(vpcflow::INTERFACE_ID),
        "srcaddr" => Column::Source,
        "dstaddr" => Column::Destination,
        "srcport" => Column::SourcePort,
        "dstport" => Column::DestinationPort,
        "protocol" => Column::Protocol,
        "packets" => Column::Packets,
        "bytes" => Column::Bytes,
        "start" => Column::Start,
        "end" => Column::End,
        "action" => Column::Action,
        "log-status" => Column::Text(vpcflow::LOG_STATUS),
        "vpc-id" => Column::Text(vpcflow::VPC_ID),
        "subnet-id" => Column::Text(vpcflow::SUBNET_ID),
        "instance-id" => Column::Instance,
        "tcp-flags" => Column::Flags,
        "type" => Column::Type,
        "pkt-srcaddr" => Column::Address(vpcflow::PKT_SRCADDR),
        "pkt-dstaddr" => Column::Address(vpcflow::PKT_DSTADDR),
        "region" => Column::Text(fields::cloud::REGION),
        "az-id" => Column::Text(fields::cloud::AVAILABILITY_ZONE),
        "sublocation-type" => Column::Text(vpcflow::sublocation::TYPE),
        "sublocation-id" => Column::Text(vpcflow::sublocation::ID),
        "pkt-src-aws-service" => Column::Text(vpcflow::PKT_SRC_SERVICE),
        "pkt-dst-aws-service" => Column::Text(vpcflow::PKT_DST_SERVICE),
        "flow-direction" => Column::Text(fields::network::DIRECTION),
        "traffic-path" => Column::Text(vpcflow::TRAFFIC_PATH),
        "reject-reason" => Column::Text(vpcflow::REJECT_REASON),
        "resource-id" => Column::Text(vpcflow::RESOURCE_ID),
        "encryption-status" => Column::Text(vpcflow::ENCRYPTION_STATUS),
        "ecs-cluster-arn" => Column::Text(vpcflow::ecs::CLUSTER_ARN),
        "ecs-cluster-name" => Column::Text(vpcflow::ecs::CLUSTER_NAME),
        "ecs-container-instance-arn" => Column::Text(vpcflow::ecs::CONTAINER_INSTANCE_ARN),
        "ecs-container-instance-id" => Column::Text(vpcflow::ecs::CONTAINER_INSTANCE_ID),
        "ecs-container-id" => Column::Text(vpcflow::ecs::CONTAINER_ID),
        "ecs-second-container-id" => Column::Text(vpcflow::ecs::SECOND_CONTAINER_ID),
        "ecs-service-name" => Column::Text(vpcflow::ecs::SERVICE_NAME),
        "ecs-task-definition-arn" => Column::Text(vpcflow::ecs::TASK_DEFINITION_ARN),
        "ecs-task-arn" => Column::Text(vpcflow::ecs::TASK_ARN),
        "ecs-task-id" => Column::Text(vpcflow::ecs::TASK_ID),
        _ => return None,
    })
}

/// Sets what a line says if it is one of a flow log. Where it has fewer or more columns than there
/// are names, it is kept as message too.
pub(super) fn set<'a>(line: &'a str, header: &[Column], event: &mut Event<'a>) -> bool {
    let mut said = event.list();
    let header = match header {
        [] if !line.starts_with("2 ") && !line.has(INTERFACE) => return false,
        [] => {
            said.extend(words(line).take(COLUMNS_MAX));
            let Some(known) = known(&said) else { return false };
            known
        }
        header => {
            said.extend(words(line).take(header.len() + 1));
            if !is_flow(&said, header) {
                return false;
            }
            header
        }
    };
    let mut said = said.into_iter();
    let mut flow = Flow::default();
    let mut placed = true;
    for column in header {
        match said.next() {
            Some(_) if *column == Column::Unknown => placed = false,
            Some("-") => event.null_removed(field_of(*column)),
            Some(word) => placed &= set_column(*column, word, &mut flow, event),
            None => placed = false,
        }
    }
    if !placed || said.next().is_some() {
        event.set(fields::MESSAGE, line);
    }
    finish(&flow, event);
    true
}

/// The columns of a line that has no header, if all of it looks like one of the known formats.
fn known(said: &[&str]) -> Option<&'static [Column]> {
    let [default, proposed @ ..] = &*KNOWN;
    if is_default(said) {
        return Some(default);
    }
    let format = proposed.iter().find(|format| format.len() == said.len())?;
    let mut pairs = format.iter().zip(said);
    // Every one of them has the name of an interface.
    (said.iter().any(|word| word.has(INTERFACE))
        && pairs.all(|(column, word)| *word == "-" || is_likely(*column, word)))
    .then_some(format)
}

/// Whether a word may stand in that column, as far as AWS says what stands there. Another order of
/// as many columns must not be taken for a proposed one.
fn is_likely(column: Column, word: &str) -> bool {
    use fields::aws::vpcflow;
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    match column {
        Column::Source | Column::Destination | Column::Address(_) => word.parse::<IpAddr>().is_ok(),
        Column::SourcePort | Column::DestinationPort => word.parse::<u16>().is_ok(),
        Column::Protocol | Column::Flags => word.parse::<u8>().is_ok(),
        Column::Packets | Column::Bytes | Column::Start | Column::End => is_number,
        Column::Account => is_number || word == "unknown",
        Column::Action => matches!(word, "ACCEPT" | "REJECT"),
        Column::Instance => word.starts_with("i-"),
        Column::Type => matches!(word, "IPv4" | "IPv6" | "EFA"),
        Column::Text(field) if field == vpcflow::VERSION => word.parse::<u8>().is_ok(),
        Column::Text(field) if field == vpcflow::INTERFACE_ID => word.starts_with("eni-"),
        Column::Text(field) if field == vpcflow::VPC_ID => word.starts_with("vpc-"),
        Column::Text(field) if field == vpcflow::SUBNET_ID => word.starts_with("subnet-"),
        Column::Text(field) if field == vpcflow::LOG_STATUS => {
            matches!(word, "OK" | "NODATA" | "SKIPDATA")
        }
        Column::Text(field) if field == vpcflow::TRAFFIC_PATH => is_number,
        Column::Text(_) => !is_number,
        Column::Unknown => true,
    }
}

/// The shape of the default format: enough of its columns look as they must.
fn is_default(said: &[&str]) -> bool {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let Some([version, account, interface, .., start, end, _]) =
        said.first_chunk::<{ DEFAULT_COLUMNS - 1 }>()
    else {
        return false;
    };
    *version == "2"
        && (is_number(account) || *account == "unknown")
        && (interface.has(INTERFACE) || *interface == "-")
        && is_number(start)
        && is_number(end)
}

/// There are about as many words as columns, and those whose form is known have it.
fn is_flow(said: &[&str], header: &[Column]) -> bool {
    said.len() + 1 >= header.len()
        && header.iter().zip(said).all(|(column, word)| match column {
            Column::Source | Column::Destination | Column::Address(_) => {
                *word == "-" || word.parse::<IpAddr>().is_ok()
            }
            Column::Start | Column::End | Column::Packets | Column::Bytes | Column::Protocol => {
                *word == "-" || word.bytes().all(|byte| byte.is_ascii_digit())
            }
            _ => true,
        })
}

fn field_of(column: Column) -> Field {
    use fields::aws::vpcflow;
    match column {
        Column::Unknown => fields::MESSAGE,
        Column::Account => vpcflow::ACCOUNT_ID,
        Column::Source => fields::source::IP,
        Column::Destination => fields::destination::IP,
        Column::SourcePort => fields::source::PORT,
        Column::DestinationPort => fields::destination::PORT,
        Column::Protocol => fields::network::IANA_NUMBER,
        Column::Packets => fields::source::PACKETS,
        Column::Bytes => fields::source::BYTES,
        Column::Start => fields::event::START,
        Column::End => fields::event::END,
        Column::Action => vpcflow::ACTION,
        Column::Instance => vpcflow::INSTANCE_ID,
        Column::Flags => vpcflow::TCP_FLAGS,
        Column::Type => vpcflow::TYPE,
        Column::Address(field) | Column::Text(field) => field,
    }
}

/// Says whether the word was what the column holds.
fn set_column<'a>(column: Column, word: &'a str, flow: &mut Flow, event: &mut Event<'a>) -> bool {
    let field = field_of(column);
    match column {
        Column::Source | Column::Destination | Column::Address(_) => {
            let Ok(ip) = word.parse::<IpAddr>() else { return false };
            match column {
                Column::Source => {
                    flow.source = Some(ip);
                    event.set(fields::source::ADDRESS, word);
                }
                Column::Destination => {
                    flow.destination = Some(ip);
                    event.set(fields::destination::ADDRESS, word);
                }
                _ => {}
            }
            event.set(field, word);
        }
        Column::SourcePort | Column::DestinationPort => {
            let Ok(port) = word.parse::<u16>() else { return false };
            let is_source = column == Column::SourcePort;
            *if is_source { &mut flow.source_port } else { &mut flow.destination_port } =
                Some(port);
            event.set(field, port);
        }
        Column::Account | Column::Instance | Column::Action | Column::Type => {
            event.set(field, word);
            named(column, word, event);
        }
        Column::Text(_) => event.set(field, word),
        Column::Unknown => return false,
        _ => match word.parse::<u64>() {
            Ok(number) => return set_number(column, word, number, flow, event),
            Err(_) => return false,
        },
    }
    true
}

/// The same for a column of numbers.
fn set_number<'a>(
    column: Column,
    word: &'a str,
    number: u64,
    flow: &mut Flow,
    event: &mut Event<'a>,
) -> bool {
    let field = field_of(column);
    match column {
        Column::Protocol => {
            flow.protocol = u8::try_from(number).ok();
            event.set(field, word);
            if let Some(name) = flow.protocol.and_then(protocol::name_of) {
                event.set(fields::network::TRANSPORT, name);
            }
        }
        Column::Packets => {
            event.set(field, number);
            event.set(fields::network::PACKETS, number);
        }
        Column::Bytes => {
            event.set(field, number);
            event.set(fields::network::BYTES, number);
        }
        Column::Start | Column::End => {
            let Ok(seconds) = i64::try_from(number) else { return false };
            event.set(field, Time::new(seconds, 0, 3));
        }
        Column::Flags => {
            event.set(field, word);
            flags(number, event);
        }
        _ => return false,
    }
    true
}

/// What a word means beyond itself.
fn named<'a>(column: Column, word: &'a str, event: &mut Event<'a>) {
    match column {
        Column::Account if word != "unknown" => event.set(fields::cloud::account::ID, word),
        Column::Instance => event.set(fields::cloud::instance::ID, word),
        Column::Action => {
            event.set(fields::event::ACTION, event.lower_case(word));
            let accepted = word == "ACCEPT";
            event.set(fields::event::OUTCOME, if accepted { "success" } else { "failure" });
        }
        Column::Type if word != "EFA" => event.set(fields::network::TYPE, event.lower_case(word)),
        _ => {}
    }
}

fn flags(bits: u64, event: &mut Event<'_>) {
    let mut names = event.list();
    names.extend(FLAGS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, n)| *n));
    if !names.is_empty() {
        event.set(fields::aws::vpcflow::TCP_FLAGS_ARRAY, names.into_bump_slice());
    }
}

/// Sets what follows from several columns. The record is of the end of its window.
fn finish(flow: &Flow, event: &mut Event<'_>) {
    event.set(fields::event::CATEGORY, "network");
    event.set(fields::event::TYPE, "connection");
    if let Some(ip) = flow.source.or(flow.destination) {
        let kind = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
        event.set_if_absent(fields::network::TYPE, kind);
    }
    if let Some(id) = flow.community_id() {
        event.set(fields::network::COMMUNITY_ID, event.alloc_str(&id));
    }
    let mut ips = event.list();
    ips.extend(
        [fields::source::IP, fields::destination::IP]
            .map(|f| event.get_str(f))
            .into_iter()
            .flatten(),
    );
    if !ips.is_empty() {
        event.set(fields::related::IP, ips.into_bump_slice());
    }
    let time = |field| match event.get(field) {
        Some(crate::Value::Time(time)) => Some(time),
        _ => None,
    };
    let (start, end) = (time(fields::event::START), time(fields::event::END));
    if let Some(time) = end.or(start) {
        event.set(fields::TIMESTAMP, time);
    }
    if let (Some(start), Some(end)) = (start, end)
        && let Some(ms) = end.ms().checked_sub(start.ms()).filter(|ms| *ms >= 0)
        && let Some(nanos) = ms.checked_mul(1_000_000)
    {
        event.set(fields::event::DURATION, nanos);
    }
}
