//! Writes small databases in MaxMind's format, version 2.0, as its specification describes them.

use std::net::IpAddr;

use serde_json::{Number, Value, json};

/// Bytes between the tree and the data.
const SEPARATOR_BYTES: usize = 16;
/// Bits in which IPv4 has its place in the tree: behind 96 that are zero.
const IPV4_BITS: usize = 96;

/// A database of that type in which networks (`203.0.113.0/24`) have entries.
pub fn database(kind: &str, entries: &[(&str, Value)]) -> Vec<u8> {
    let mut tree = vec![[Node::Empty; 2]];
    let mut data = Vec::new();
    for (network, entry) in entries {
        let at = data.len();
        write(entry, &mut data);
        add(&mut tree, &bits(network), at);
    }
    let mut file = Vec::new();
    for node in tree.iter().flatten() {
        let number = match node {
            Node::Empty => tree.len(),
            Node::Next(next) => *next,
            Node::Entry(at) => tree.len() + SEPARATOR_BYTES + at,
        };
        file.extend_from_slice(&(number as u32).to_be_bytes()[1..]);
    }
    file.extend_from_slice(&[0; SEPARATOR_BYTES]);
    file.extend_from_slice(&data);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let metadata = json!({
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_795_262_400,
        "database_type": kind,
        "description": {"en": "networks of a test"},
        "ip_version": 6,
        "languages": ["en"],
        "node_count": tree.len(),
        "record_size": 24,
    });
    write(&metadata, &mut file);
    file
}

/// Where `203.0.113.0/24` is, as a city's entry says.
pub fn city(name: &str) -> Vec<u8> {
    let entry = json!({
        "city": {"names": {"de": "anders", "en": name}},
        "continent": {"code": "EU", "names": {"en": "Europe"}},
        "country": {"iso_code": "ES", "names": {"en": "Spain"}},
        "location": {"latitude": 40.4, "longitude": -3.7, "time_zone": "Europe/Madrid"},
        "postal": {"code": "28001"},
        "subdivisions": [
            {"iso_code": "MD", "names": {"en": "Community"}},
            {"iso_code": "M", "names": {"en": "Province"}},
        ],
    });
    database("Test-City", &[("203.0.113.0/24", entry)])
}

#[derive(Clone, Copy)]
enum Node {
    Empty,
    Next(usize),
    Entry(usize),
}

fn bits(network: &str) -> Vec<usize> {
    let (address, length) = network.split_once('/').expect("address/length");
    let length: usize = length.parse().expect("a length");
    let (number, length) = match address.parse().expect("an address") {
        IpAddr::V4(address) => (u128::from(address.to_bits()), IPV4_BITS + length),
        IpAddr::V6(address) => (address.to_bits(), length),
    };
    (0..length).map(|bit| (number >> (127 - bit) & 1) as usize).collect()
}

fn add(tree: &mut Vec<[Node; 2]>, bits: &[usize], entry: usize) {
    let (last, way) = bits.split_last().expect("a network has a length");
    let mut at = 0;
    for bit in way {
        at = match tree[at][*bit] {
            Node::Next(next) => next,
            _ => {
                tree.push([Node::Empty; 2]);
                let next = tree.len() - 1;
                tree[at][*bit] = Node::Next(next);
                next
            }
        };
    }
    tree[at][*last] = Node::Entry(entry);
}

/// A value with its type and size before it.
fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            head(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Number(number) if number.is_u64() => write_whole(number, 4, out),
        Value::Number(number) => {
            head(3, 8, out);
            out.extend_from_slice(&number.as_f64().unwrap_or_default().to_be_bytes());
        }
        Value::Object(fields) => {
            head(7, fields.len(), out);
            for (key, value) in fields {
                write(&Value::from(key.as_str()), out);
                match (key.as_str(), value) {
                    ("build_epoch", Value::Number(number)) => write_whole(number, 8, out),
                    ("ip_version" | "record_size", Value::Number(number)) => {
                        write_whole(number, 2, out);
                    }
                    (name, Value::Number(number)) if name.ends_with("or_version") => {
                        write_whole(number, 2, out);
                    }
                    _ => write(value, out),
                }
            }
        }
        Value::Array(values) => {
            head(11, values.len(), out);
            values.iter().for_each(|value| write(value, out));
        }
        Value::Null | Value::Bool(_) => panic!("{value} is in no entry of a test"),
    }
}

/// The metadata's numbers have widths of their own.
fn write_whole(number: &Number, width: usize, out: &mut Vec<u8>) {
    let kind = match width {
        2 => 5,
        4 => 6,
        _ => 9,
    };
    head(kind, width, out);
    let number = number.as_u64().unwrap_or_default();
    out.extend_from_slice(&number.to_be_bytes()[8 - width..]);
}

fn head(kind: u8, size: usize, out: &mut Vec<u8>) {
    let size = u8::try_from(size).expect("a test's values are short");
    let (short, more) = if size < 29 { (size, None) } else { (29, Some(size - 29)) };
    if kind <= 7 {
        out.push(kind << 5 | short);
    } else {
        out.extend_from_slice(&[short, kind - 7]);
    }
    out.extend(more);
}
