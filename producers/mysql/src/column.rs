//! What a column is: its name and type, put together from what the binlog's table map says and,
//! where that leaves things out, from what the server says of its tables now.

use serde::{Deserialize, Serialize};

use crate::charset::Charset;

/// The binlog's numbers of types.
pub(crate) mod kind {
    pub const TINY: u8 = 1;
    pub const SHORT: u8 = 2;
    pub const LONG: u8 = 3;
    pub const FLOAT: u8 = 4;
    pub const DOUBLE: u8 = 5;
    pub const NULL: u8 = 6;
    pub const TIMESTAMP: u8 = 7;
    pub const LONGLONG: u8 = 8;
    pub const INT24: u8 = 9;
    pub const DATE: u8 = 10;
    pub const TIME: u8 = 11;
    pub const DATETIME: u8 = 12;
    pub const YEAR: u8 = 13;
    pub const NEWDATE: u8 = 14;
    pub const VARCHAR: u8 = 15;
    pub const BIT: u8 = 16;
    pub const TIMESTAMP2: u8 = 17;
    pub const DATETIME2: u8 = 18;
    pub const TIME2: u8 = 19;
    pub const VECTOR: u8 = 242;
    pub const JSON: u8 = 245;
    pub const NEWDECIMAL: u8 = 246;
    pub const ENUM: u8 = 247;
    pub const SET: u8 = 248;
    pub const TINY_BLOB: u8 = 249;
    pub const BLOB: u8 = 252;
    pub const VAR_STRING: u8 = 253;
    pub const STRING: u8 = 254;
    pub const GEOMETRY: u8 = 255;
}

/// One column of a table as the binlog holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub name: String,
    /// One of [`kind`].
    pub kind: u8,
    /// What else its length needs: digits of a second, bytes of a length, precision and scale.
    pub meta: u16,
    pub unsigned: bool,
    pub charset: Charset,
    /// Of an enumeration or a set.
    pub labels: Vec<String>,
    pub form: Form,
}

/// What bytes of a fixed length stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Plain,
    /// MariaDB's own types, which its binlog does not tell from `BINARY(16)` and `BINARY(4)`.
    Uuid,
    Inet6,
    Inet4,
}

/// A table at one place of the binlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub database: String,
    pub name: String,
    pub columns: Vec<Column>,
    /// Columns of the primary key, in its order; none if there is none.
    pub key: Vec<usize>,
    /// `shop.orders:`, which the Kafka keys of its rows begin with.
    pub key_prefix: String,
}

/// A column as the server describes it, now or at an earlier place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Described {
    #[serde(rename = "n")]
    pub name: String,
    /// `varchar`
    #[serde(rename = "t")]
    pub data_type: String,
    /// `enum('a','b')`, `int(10) unsigned`
    #[serde(rename = "f")]
    pub full_type: String,
    /// Empty for what is no text.
    #[serde(rename = "s", default, skip_serializing_if = "String::is_empty")]
    pub charset: String,
    /// Where it stands in the primary key, from 1.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub in_key: Option<usize>,
}

impl Described {
    /// The binlog may hold this column as that type.
    pub fn fits(&self, column: &Column) -> bool {
        let kinds: &[u8] = match self.data_type.as_str() {
            "tinyint" => &[kind::TINY],
            "smallint" => &[kind::SHORT],
            "mediumint" => &[kind::INT24],
            "int" => &[kind::LONG],
            "bigint" => &[kind::LONGLONG],
            "float" => &[kind::FLOAT],
            "double" => &[kind::DOUBLE],
            "decimal" => &[kind::NEWDECIMAL],
            "bit" => &[kind::BIT],
            "year" => &[kind::YEAR],
            "date" => &[kind::DATE, kind::NEWDATE],
            "time" => &[kind::TIME, kind::TIME2],
            "datetime" => &[kind::DATETIME, kind::DATETIME2],
            "timestamp" => &[kind::TIMESTAMP, kind::TIMESTAMP2],
            "char" | "binary" | "uuid" | "inet4" | "inet6" => &[kind::STRING],
            "varchar" | "varbinary" => &[kind::VARCHAR, kind::VAR_STRING],
            "enum" => &[kind::ENUM],
            "set" => &[kind::SET],
            "json" => &[kind::JSON, kind::BLOB],
            "vector" => &[kind::VECTOR, kind::VARCHAR],
            other if other.ends_with("blob") || other.ends_with("text") => &[kind::BLOB],
            _ => &[kind::GEOMETRY],
        };
        kinds.contains(&column.kind)
    }

    /// The labels of `enum('a','b''c')`.
    pub fn labels(&self) -> Vec<String> {
        if !matches!(self.data_type.as_str(), "enum" | "set") {
            return Vec::new();
        }
        let mut labels = Vec::new();
        let mut rest = self.full_type.as_str();
        while let Some((_, quoted)) = rest.split_once('\'') {
            let mut label = String::new();
            let mut chars = quoted.char_indices().peekable();
            rest = "";
            while let Some((at, c)) = chars.next() {
                if c != '\'' {
                    label.push(c);
                } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
                    label.push('\'');
                } else {
                    rest = &quoted[at + 1..];
                    break;
                }
            }
            labels.push(label);
        }
        labels
    }

    /// Gives the column what the binlog left out.
    fn complete(&self, column: &mut Column) {
        column.name.clone_from(&self.name);
        column.unsigned = self.full_type.contains("unsigned");
        column.charset = Charset::named(&self.charset);
        column.labels = self.labels();
        column.form = self.form();
    }

    fn form(&self) -> Form {
        match self.data_type.as_str() {
            "uuid" => Form::Uuid,
            "inet6" => Form::Inet6,
            "inet4" => Form::Inet4,
            _ => Form::Plain,
        }
    }
}

impl Table {
    /// A column may be of a type that only the server's description tells.
    pub fn has_fixed_bytes(&self) -> bool {
        let fixed = |column: &Column| column.kind == kind::STRING && matches!(column.meta, 4 | 16);
        self.columns.iter().any(fixed)
    }

    /// Takes from what the server says now what names in the binlog do not tell.
    pub fn refine(&mut self, described: &[Described]) {
        for column in self.columns.iter_mut().filter(|column| column.kind == kind::STRING) {
            if let Some(said) = described.iter().find(|said| said.name == column.name) {
                column.form = said.form();
            }
        }
    }

    /// The description is of a table with these columns.
    pub fn is_described_by(&self, described: &[Described]) -> bool {
        described.len() == self.columns.len()
            && described.iter().zip(&self.columns).all(|(said, column)| said.fits(column))
    }

    /// Takes names and types from what the server says now, if that is this table; otherwise its
    /// columns stay without names, as `@1`, `@2`, like `mysqlbinlog` prints them.
    pub fn complete(&mut self, described: &[Described]) -> bool {
        if !self.is_described_by(described) {
            return false;
        }
        for (said, column) in described.iter().zip(&mut self.columns) {
            said.complete(column);
        }
        let mut key: Vec<_> = described
            .iter()
            .enumerate()
            .filter_map(|(at, said)| Some((said.in_key?, at)))
            .collect();
        key.sort_unstable();
        self.key = key.into_iter().map(|(_, at)| at).collect();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_an_enumeration_keep_their_quotes_and_commas() {
        let described = Described {
            name: "state".to_owned(),
            data_type: "enum".to_owned(),
            full_type: "enum('new','it''s, one','')".to_owned(),
            charset: "utf8mb4".to_owned(),
            in_key: None,
        };
        assert_eq!(described.labels(), ["new", "it's, one", ""]);
    }
}
