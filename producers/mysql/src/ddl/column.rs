//! The definition of one column in a statement. What is not known to be without meaning for it
//! makes it unknown: a wrong name would be worse than none.

use super::token::{Token, Tokens};
use crate::column::Described;

/// A column as a statement defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewColumn {
    /// Without a character set, if it takes the table's.
    pub described: Described,
    pub takes_charset: bool,
    pub is_key: bool,
    pub place: Where,
}

/// Where a statement puts a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// Where it is, or behind the others.
    Usual,
    First,
    After(String),
}

impl NewColumn {
    /// Name, type and what follows it, up to the end of the item.
    pub fn parse(tokens: &mut Tokens<'_>, mariadb: bool) -> Option<Self> {
        let name = tokens.name()?;
        let kind = Kind::parse(tokens, mariadb)?;
        let mut column = Self {
            described: Described {
                name,
                data_type: kind.name.to_owned(),
                full_type: kind.full,
                charset: kind.charset.unwrap_or_default().to_owned(),
                in_key: None,
            },
            takes_charset: kind.is_text && kind.charset.is_none(),
            is_key: false,
            place: Where::Usual,
        };
        while !tokens.is_at_end_of_item() {
            column.attribute(tokens, kind.is_text)?;
        }
        Some(column)
    }

    fn attribute(&mut self, tokens: &mut Tokens<'_>, is_text: bool) -> Option<()> {
        if tokens.group()? {
            return Some(());
        }
        let word = match tokens.next()? {
            Token::Word(word) => word.to_ascii_uppercase(),
            // Values, comments, names of what is referred to.
            Token::Text(_) | Token::Name(_) | Token::Sign('.' | '-' | '+') => return Some(()),
            Token::Sign(_) => return None,
        };
        match word.as_str() {
            "UNSIGNED" | "ZEROFILL" => self.described.full_type.push_str(" unsigned"),
            "CHARACTER" if tokens.words(&["SET"]) => self.charset(charset(tokens)?, is_text),
            "CHARSET" => self.charset(charset(tokens)?, is_text),
            "ASCII" => self.charset("latin1".to_owned(), is_text),
            "COLLATE" => {
                let charset = charset_of_collation(&value(tokens)?)?;
                if self.takes_charset {
                    self.charset(charset, is_text);
                }
            }
            "UNIQUE" => {
                let _ = tokens.words(&["KEY"]);
            }
            "PRIMARY" => {
                let _ = tokens.words(&["KEY"]);
                self.is_key = true;
            }
            "KEY" => self.is_key = true,
            // A value, of which a group or a text may follow; the next word is an attribute again.
            "DEFAULT" | "UPDATE" | "SRID" | "COLUMN_FORMAT" | "STORAGE" | "REFERENCES"
            | "MATCH" => {
                let _ = tokens.sign('-') || tokens.sign('+');
                if !tokens.group()? {
                    tokens.next()?;
                }
            }
            "FIRST" => self.place = Where::First,
            "AFTER" => self.place = Where::After(tokens.name()?),
            "SIGNED" | "BINARY" | "NOT" | "NULL" | "AUTO_INCREMENT" | "COMMENT" | "ON"
            | "GENERATED" | "ALWAYS" | "AS" | "VIRTUAL" | "STORED" | "PERSISTENT" | "INVISIBLE"
            | "VISIBLE" | "CHECK" | "CONSTRAINT" | "ENFORCED" | "DELETE" | "RESTRICT"
            | "CASCADE" | "SET" | "NO" | "ACTION" => {}
            number if number.starts_with(|c: char| c.is_ascii_digit()) => {}
            _ => return None,
        }
        Some(())
    }

    fn charset(&mut self, charset: String, is_text: bool) {
        if is_text {
            self.described.charset = charset;
            self.takes_charset = false;
        }
    }
}

/// A type as `information_schema` names it.
struct Kind {
    name: &'static str,
    /// What tells its labels and its sign.
    full: String,
    is_text: bool,
    /// Of types that bring one.
    charset: Option<&'static str>,
}

impl Kind {
    fn parse(tokens: &mut Tokens<'_>, mariadb: bool) -> Option<Self> {
        let word = tokens.peek();
        tokens.next()?;
        let national = word == "NATIONAL" || word.starts_with('N') && word != "NUMERIC";
        let word = match word.as_str() {
            "NATIONAL" => {
                let word = tokens.peek();
                tokens.next()?;
                word
            }
            "NCHAR" | "NVARCHAR" => word[1..].to_owned(),
            _ => word,
        };
        let name = name_of(&word)?;
        let varying = name == "char" && tokens.words(&["VARYING"]);
        let _ = name == "double" && tokens.words(&["PRECISION"]);
        let mut kind = Self {
            name: if varying { "varchar" } else { name },
            full: name.to_owned(),
            is_text: matches!(name, "char" | "varchar" | "enum" | "set") || name.ends_with("text"),
            charset: national.then_some("utf8mb3"),
        };
        match name {
            "enum" | "set" => kind.full = labels(name, tokens)?,
            "float" => {
                let wide = matches!(tokens.0, [Token::Sign('('), Token::Word(digits), Token::Sign(')'), ..]
                    if digits.parse::<u32>().is_ok_and(|digits| digits > 24));
                if wide {
                    kind.name = "double";
                }
                tokens.group()?;
            }
            "json" if mariadb => {
                (kind.name, kind.is_text, kind.charset) = ("longtext", true, Some("utf8mb4"));
            }
            _ => {
                tokens.group()?;
            }
        }
        if word == "SERIAL" {
            kind.full.push_str(" unsigned");
        }
        Some(kind)
    }
}

fn name_of(word: &str) -> Option<&'static str> {
    const SAME: [&str; 38] = [
        "tinyint",
        "smallint",
        "mediumint",
        "int",
        "bigint",
        "float",
        "double",
        "decimal",
        "bit",
        "year",
        "date",
        "time",
        "datetime",
        "timestamp",
        "char",
        "varchar",
        "binary",
        "varbinary",
        "tinyblob",
        "blob",
        "mediumblob",
        "longblob",
        "tinytext",
        "text",
        "mediumtext",
        "longtext",
        "enum",
        "set",
        "json",
        "uuid",
        "inet4",
        "inet6",
        "vector",
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
    ];
    let lower = word.to_ascii_lowercase();
    if let Some(same) = SAME.into_iter().find(|name| *name == lower) {
        return Some(same);
    }
    Some(match word {
        "INT1" | "BOOL" | "BOOLEAN" => "tinyint",
        "INT2" => "smallint",
        "INT3" | "MIDDLEINT" => "mediumint",
        "INT4" | "INTEGER" => "int",
        "INT8" | "SERIAL" => "bigint",
        "FLOAT4" => "float",
        "FLOAT8" | "REAL" => "double",
        "DEC" | "NUMERIC" | "FIXED" => "decimal",
        "CHARACTER" => "char",
        "VARCHARACTER" => "varchar",
        "MULTILINESTRING" => "multilinestring",
        "MULTIPOLYGON" => "multipolygon",
        "GEOMETRYCOLLECTION" | "GEOMCOLLECTION" => "geometrycollection",
        _ => return None,
    })
}

/// `enum('a','it''s')`: the server drops blanks at the end of a label.
fn labels(name: &str, tokens: &mut Tokens<'_>) -> Option<String> {
    if !tokens.sign('(') {
        return None;
    }
    let mut labels = Vec::new();
    loop {
        let Token::Text(label) = tokens.next()? else { return None };
        labels.push(format!("'{}'", label.trim_end_matches(' ').replace('\'', "''")));
        if tokens.sign(')') {
            return Some(format!("{name}({})", labels.join(",")));
        }
        if !tokens.sign(',') {
            return None;
        }
    }
}

/// What follows `CHARACTER SET`.
pub(super) fn charset(tokens: &mut Tokens<'_>) -> Option<String> {
    let name = value(tokens)?;
    // The default of something else, which is not in the statement.
    (name != "default").then_some(name)
}

/// A value behind `=` or nothing, in small letters.
pub(super) fn value(tokens: &mut Tokens<'_>) -> Option<String> {
    let _ = tokens.sign('=');
    match tokens.next()? {
        Token::Word(word) => Some(word.to_ascii_lowercase()),
        Token::Name(text) | Token::Text(text) => Some(text.to_ascii_lowercase()),
        Token::Sign(_) => None,
    }
}

/// The character set that a collation's name begins with.
pub(crate) fn charset_of_collation(collation: &str) -> Option<String> {
    let set = collation.split('_').next()?;
    // MariaDB's newer names leave it out.
    (!set.is_empty() && !matches!(set, "uca1400" | "default")).then(|| set.to_owned())
}
