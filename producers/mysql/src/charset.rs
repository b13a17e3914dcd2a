//! What text is written in. MySQL's names of character sets are its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::Encoding;
use tahoe_schemas::json;

/// How a column's bytes become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    /// They do not: base64.
    Binary,
    Utf8,
    Other(&'static Encoding),
}

impl Charset {
    /// By MySQL's name; a set that cannot be read here counts as binary.
    pub fn named(name: &str) -> Self {
        let encoding = match name {
            "utf8" | "utf8mb3" | "utf8mb4" | "ascii" => return Self::Utf8,
            // MySQL's latin1 is the one of Windows.
            "latin1" | "cp1252" => encoding_rs::WINDOWS_1252,
            "latin2" => encoding_rs::ISO_8859_2,
            "latin5" => encoding_rs::WINDOWS_1254,
            "latin7" => encoding_rs::ISO_8859_13,
            "greek" => encoding_rs::ISO_8859_7,
            "hebrew" => encoding_rs::ISO_8859_8,
            "cp1250" => encoding_rs::WINDOWS_1250,
            "cp1251" => encoding_rs::WINDOWS_1251,
            "cp1256" => encoding_rs::WINDOWS_1256,
            "cp1257" => encoding_rs::WINDOWS_1257,
            "cp866" => encoding_rs::IBM866,
            "koi8r" => encoding_rs::KOI8_R,
            "koi8u" => encoding_rs::KOI8_U,
            "macroman" => encoding_rs::MACINTOSH,
            "tis620" => encoding_rs::WINDOWS_874,
            "gbk" | "gb2312" => encoding_rs::GBK,
            "gb18030" => encoding_rs::GB18030,
            "big5" => encoding_rs::BIG5,
            "sjis" | "cp932" => encoding_rs::SHIFT_JIS,
            "ujis" | "eucjpms" => encoding_rs::EUC_JP,
            "euckr" => encoding_rs::EUC_KR,
            "ucs2" | "utf16" => encoding_rs::UTF_16BE,
            "utf16le" => encoding_rs::UTF_16LE,
            _ => return Self::Binary,
        };
        Self::Other(encoding)
    }

    /// Appends the bytes as a JSON string; what is not valid in its set is told as
    /// `{"base64":"…"}`, so that nothing is lost and nothing is made up.
    pub fn write(self, bytes: &[u8], out: &mut Vec<u8>) {
        let text = match self {
            Self::Binary => return write_base64(bytes, out),
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(Into::into),
            Self::Other(set) => set.decode_without_bom_handling_and_without_replacement(bytes),
        };
        match text {
            Some(text) => json::write_str(&text, out),
            None => {
                out.extend_from_slice(b"{\"base64\":");
                write_base64(bytes, out);
                out.push(b'}');
            }
        }
    }
}

/// Appends the bytes in base64, as a JSON string.
pub(crate) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]);
    out.truncate(start + written.expect("four bytes for each three"));
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(set: &str, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        Charset::named(set).write(bytes, &mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn text_becomes_utf8_by_its_character_set_and_bytes_become_base64() {
        assert_eq!(written("utf8mb4", "gr\u{f6}\u{1f600}".as_bytes()), "\"gr\u{f6}\u{1f600}\"");
        assert_eq!(written("latin1", b"\x80 \xe9"), "\"\u{20ac} \u{e9}\"");
        assert_eq!(written("ucs2", &[0x65, 0xe5, 0x67, 0x2c]), "\"\u{65e5}\u{672c}\"");
        assert_eq!(written("binary", &[0, 255]), "\"AP8=\"");
    }

    #[test]
    fn text_that_is_not_valid_in_its_character_set_keeps_its_bytes() {
        assert_eq!(written("utf8mb4", &[0xff]), r#"{"base64":"/w=="}"#);
    }
}
