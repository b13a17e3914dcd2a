//! Geometry as text: Well-Known Text (OGC 06-103r4, section 7) from the Well-Known Binary that
//! MySQL keeps behind four bytes of reference system.

use std::fmt::Write as _;

use crate::bytes::{Bytes, little};

/// Collections within collections; deeper is no geometry that anybody made.
const DEPTH_MAX: u32 = 32;

/// `POINT(1 2)`, with `SRID=4326;` in front unless it is 0; `None` if it is no geometry.
pub(crate) fn to_text(bytes: &[u8]) -> Option<String> {
    let mut bytes = Bytes(bytes);
    let srid = bytes.little(4)?;
    let mut out = String::new();
    if srid != 0 {
        write!(out, "SRID={srid};").ok()?;
    }
    geometry(&mut bytes, &mut out, DEPTH_MAX)?;
    bytes.0.is_empty().then_some(out)
}

fn geometry(bytes: &mut Bytes<'_>, out: &mut String, depth: u32) -> Option<()> {
    let kind = header(bytes)?;
    let names = [
        "POINT",
        "LINESTRING",
        "POLYGON",
        "MULTIPOINT",
        "MULTILINESTRING",
        "MULTIPOLYGON",
        "GEOMETRYCOLLECTION",
    ];
    out.push_str(names.get(usize::try_from(kind).ok()?.checked_sub(1)?)?);
    if kind == 7 && bytes.0.starts_with(&[0; 4]) {
        out.push_str(" EMPTY");
        return bytes.little(4).map(|_| ());
    }
    body(kind, bytes, out, depth.checked_sub(1)?)
}

/// The byte order, which MySQL always writes as little endian, and the kind.
fn header(bytes: &mut Bytes<'_>) -> Option<u64> {
    (bytes.u8()? == 1).then_some(())?;
    bytes.little(4)
}

fn body(kind: u64, bytes: &mut Bytes<'_>, out: &mut String, depth: u32) -> Option<()> {
    if kind == 1 {
        out.push('(');
        point(bytes, out)?;
        out.push(')');
        return Some(());
    }
    let count = bytes.little(4)?;
    out.push('(');
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        match kind {
            2 => point(bytes, out)?,
            // A ring is a line without a header.
            3 => body(2, bytes, out, depth)?,
            4..=6 => {
                header(bytes)?;
                body(kind - 3, bytes, out, depth)?;
            }
            _ => geometry(bytes, out, depth)?,
        }
    }
    out.push(')');
    Some(())
}

fn point(bytes: &mut Bytes<'_>, out: &mut String) -> Option<()> {
    let x = f64::from_bits(little(bytes.take(8)?));
    let y = f64::from_bits(little(bytes.take(8)?));
    write!(out, "{x} {y}").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_written_with_its_reference_system_and_damage_is_no_geometry() {
        let mut bytes = vec![0xe6, 0x10, 0, 0, 1, 1, 0, 0, 0];
        bytes.extend_from_slice(&1.5f64.to_le_bytes());
        bytes.extend_from_slice(&(-2f64).to_le_bytes());
        assert_eq!(to_text(&bytes).as_deref(), Some("SRID=4326;POINT(1.5 -2)"));
        assert_eq!(to_text(&bytes[..20]), None);
        bytes.push(0);
        assert_eq!(to_text(&bytes), None);
    }
}
