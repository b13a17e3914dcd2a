//! `ALTER TABLE` and the columns that it leaves, and the list of a new table's columns, which is an
//! alteration of a table without any.
//!
//! As in the server, columns are named as they were before the statement, and `AFTER` one as it is
//! named behind it.

use serde::{Deserialize, Serialize};

use super::TableName;
use super::column::{NewColumn, charset, charset_of_collation, value};
use super::columns::{Columns, complete, is_same};
use super::token::Tokens;
use crate::column::Described;

/// The columns of a table at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    /// The character set of columns that name none; none if that is not known.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
    #[serde(rename = "c")]
    pub columns: Vec<Described>,
}

/// What an `ALTER TABLE` does to columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alteration {
    charset: Option<String>,
    /// Columns that are there take the character set too.
    converts: bool,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Add {
        column: NewColumn,
        unless_there: bool,
    },
    /// The column of that name becomes another.
    Change {
        old: String,
        column: NewColumn,
        if_there: bool,
    },
    Rename(String, String),
    Drop(String),
    DropKey,
    Key(Vec<String>),
}

/// The first words of what has no effect on columns, up to the end of the item.
const HARMLESS: [&str; 43] = [
    "ALGORITHM",
    "ALTER",
    "AUTOEXTEND_SIZE",
    "AUTO_INCREMENT",
    "AVG_ROW_LENGTH",
    "CHECKSUM",
    "COMMENT",
    "COMPRESSION",
    "CONNECTION",
    "DATA",
    "DELAY_KEY_WRITE",
    "DISABLE",
    "ENABLE",
    "ENCRYPTED",
    "ENCRYPTION",
    "ENCRYPTION_KEY_ID",
    "ENGINE",
    "ENGINE_ATTRIBUTE",
    "FORCE",
    "INDEX",
    "INSERT_METHOD",
    "KEY_BLOCK_SIZE",
    "LOCK",
    "MAX_ROWS",
    "MIN_ROWS",
    "PACK_KEYS",
    "PAGE_CHECKSUM",
    "PAGE_COMPRESSED",
    "PAGE_COMPRESSION_LEVEL",
    "PASSWORD",
    "ROW_FORMAT",
    "SECONDARY_ENGINE",
    "SECONDARY_ENGINE_ATTRIBUTE",
    "STATS_AUTO_RECALC",
    "STATS_PERSISTENT",
    "STATS_SAMPLE_PAGES",
    "STORAGE",
    "TABLESPACE",
    "TRANSACTIONAL",
    "TYPE",
    "UNION",
    "VALIDATION",
    "WITHOUT",
];

/// The first words of what concerns partitions or files, up to the end of the statement.
const OF_PARTITIONS: [&str; 12] = [
    "ANALYZE",
    "CHECK",
    "COALESCE",
    "DISCARD",
    "EXCHANGE",
    "IMPORT",
    "OPTIMIZE",
    "PARTITION",
    "REBUILD",
    "REMOVE",
    "REORGANIZE",
    "REPAIR",
];

impl Alteration {
    /// What follows the table's name, and the name that it gets.
    pub(super) fn parse(
        tokens: &mut Tokens<'_>,
        database: &str,
        mariadb: bool,
    ) -> Option<(Self, Option<TableName>)> {
        let mut alteration = Self::default();
        let mut renamed = None;
        while !tokens.is_at_end() {
            let mut read = *tokens;
            let done = if read.words(&["RENAME"]) {
                alteration.rename(&mut read, database, &mut renamed)
            } else {
                alteration.item(&mut read, mariadb)
            };
            done?;
            let _ = read.sign(',');
            if read.0.len() == tokens.0.len() {
                return None;
            }
            *tokens = read;
        }
        Some((alteration, renamed))
    }

    /// The list of columns of a `CREATE TABLE`, its options, and what follows them.
    pub(super) fn of_new<'t>(mut tokens: Tokens<'t>, mariadb: bool) -> Option<(Self, Tokens<'t>)> {
        let mut alteration = Self::default();
        if !tokens.sign('(') {
            return None;
        }
        loop {
            alteration.element(&mut tokens, false, mariadb)?;
            if tokens.sign(')') {
                break;
            }
            if !tokens.sign(',') {
                return None;
            }
        }
        while !tokens.is_at_end() && tokens.peek() != "PARTITION" {
            // MySQL 8 says so of rows that follow in the same transaction.
            if !tokens.words(&["START", "TRANSACTION"]) {
                alteration.option(&mut tokens)?;
            }
            if !tokens.sign(',') && tokens.sign(')') {
                return None;
            }
        }
        Some((alteration, tokens))
    }

    /// What the options of a database say of its tables; `None` if nothing, or something else too.
    pub(super) fn charset_of_options(tokens: &mut Tokens<'_>) -> Option<String> {
        let mut options = Self::default();
        options.option(tokens)?;
        options.charset
    }

    pub(super) fn drops_key() -> Self {
        Self { parts: vec![Part::DropKey], ..Self::default() }
    }

    fn item(&mut self, tokens: &mut Tokens<'_>, mariadb: bool) -> Option<()> {
        let first = tokens.peek();
        match first.as_str() {
            "ADD" => {
                tokens.next();
                self.add(tokens, mariadb)
            }
            "DROP" => {
                tokens.next();
                self.drop(tokens)
            }
            "MODIFY" | "CHANGE" => {
                tokens.next();
                let _ = tokens.words(&["COLUMN"]);
                let if_there = tokens.words(&["IF", "EXISTS"]);
                let mut ahead = *tokens;
                let old = ahead.name()?;
                if first == "CHANGE" {
                    *tokens = ahead;
                }
                let column = NewColumn::parse(tokens, mariadb)?;
                self.parts.push(Part::Change { old, column, if_there });
                Some(())
            }
            "CONVERT" => {
                tokens.next();
                if !tokens.words(&["TO"]) {
                    return None;
                }
                self.converts = true;
                self.option(tokens)
            }
            _ if OF_PARTITIONS.contains(&first.as_str()) => {
                tokens.0 = &[];
                Some(())
            }
            _ => self.option(tokens),
        }
    }

    /// One option of the table, or some behind each other.
    fn option(&mut self, tokens: &mut Tokens<'_>) -> Option<()> {
        while !tokens.is_at_end_of_item() {
            let _ = tokens.words(&["DEFAULT"]);
            if tokens.words(&["CHARACTER", "SET"]) || tokens.words(&["CHARSET"]) {
                self.charset = Some(charset(tokens)?);
            } else if tokens.words(&["COLLATE"]) {
                self.charset = Some(charset_of_collation(&value(tokens)?)?);
            } else if tokens.peek() == "PARTITION" {
                return Some(());
            } else if HARMLESS.contains(&tokens.peek().as_str()) {
                option_value(tokens)?;
            } else {
                return None;
            }
        }
        Some(())
    }

    fn add(&mut self, tokens: &mut Tokens<'_>, mariadb: bool) -> Option<()> {
        if tokens.peek() == "PARTITION" {
            tokens.0 = &[];
            return Some(());
        }
        let is_column = tokens.words(&["COLUMN"]);
        let unless_there = tokens.words(&["IF", "NOT", "EXISTS"]);
        if !tokens.sign('(') {
            return match is_column {
                true => self.add_column(tokens, unless_there, mariadb),
                false => self.element(tokens, unless_there, mariadb),
            };
        }
        loop {
            self.element(tokens, unless_there, mariadb)?;
            if tokens.sign(')') {
                return Some(());
            }
            if !tokens.sign(',') {
                return None;
            }
        }
    }

    fn add_column(
        &mut self,
        tokens: &mut Tokens<'_>,
        unless_there: bool,
        mariadb: bool,
    ) -> Option<()> {
        let column = NewColumn::parse(tokens, mariadb)?;
        self.parts.push(Part::Add { column, unless_there });
        Some(())
    }

    /// A column, or a key or another constraint.
    fn element(
        &mut self,
        tokens: &mut Tokens<'_>,
        unless_there: bool,
        mariadb: bool,
    ) -> Option<()> {
        if tokens.words(&["CONSTRAINT"])
            && !["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"].contains(&tokens.peek().as_str())
        {
            tokens.name()?;
        }
        match tokens.peek().as_str() {
            "PRIMARY" => self.key(tokens),
            "INDEX" | "KEY" | "UNIQUE" | "FULLTEXT" | "SPATIAL" | "FOREIGN" | "CHECK" => {
                tokens.skip_item()
            }
            // Columns that no statement names.
            "PERIOD" if tokens.peek_at(1) == "FOR" => None,
            "SYSTEM" if tokens.peek_at(1) == "VERSIONING" => None,
            _ => self.add_column(tokens, unless_there, mariadb),
        }
    }

    /// `PRIMARY KEY USING BTREE (a, b(10) DESC) COMMENT ''`
    fn key(&mut self, tokens: &mut Tokens<'_>) -> Option<()> {
        while !tokens.sign('(') {
            tokens.next()?;
        }
        let mut names = Vec::new();
        loop {
            names.push(tokens.name()?);
            tokens.group()?;
            let _ = tokens.words(&["ASC"]) || tokens.words(&["DESC"]);
            if tokens.sign(')') {
                break;
            }
            if !tokens.sign(',') {
                return None;
            }
        }
        self.parts.push(Part::Key(names));
        tokens.skip_item()
    }

    fn drop(&mut self, tokens: &mut Tokens<'_>) -> Option<()> {
        match tokens.peek().as_str() {
            "PRIMARY" => self.parts.push(Part::DropKey),
            "INDEX" | "KEY" | "CONSTRAINT" => {
                tokens.next();
                let _ = tokens.words(&["IF", "EXISTS"]);
                if tokens.name()?.eq_ignore_ascii_case("PRIMARY") {
                    self.parts.push(Part::DropKey);
                }
            }
            "FOREIGN" | "CHECK" => {}
            "PARTITION" => tokens.0 = &[],
            "PERIOD" if tokens.peek_at(1) == "FOR" => return None,
            "SYSTEM" if tokens.peek_at(1) == "VERSIONING" => return None,
            _ => {
                let _ = tokens.words(&["COLUMN"]);
                let _ = tokens.words(&["IF", "EXISTS"]);
                self.parts.push(Part::Drop(tokens.name()?));
            }
        }
        tokens.skip_item()
    }

    /// What follows `RENAME`: a column, an index, or else the table.
    fn rename(
        &mut self,
        tokens: &mut Tokens<'_>,
        database: &str,
        renamed: &mut Option<TableName>,
    ) -> Option<()> {
        if tokens.words(&["COLUMN"]) {
            let _ = tokens.words(&["IF", "EXISTS"]);
            let old = tokens.name()?;
            if !tokens.words(&["TO"]) {
                return None;
            }
            self.parts.push(Part::Rename(old, tokens.name()?));
        } else if matches!(tokens.peek().as_str(), "INDEX" | "KEY") {
            tokens.skip_item()?;
        } else {
            let _ = tokens.words(&["TO"]) || tokens.words(&["AS"]) || tokens.sign('=');
            *renamed = Some(tokens.table(database)?);
        }
        tokens.is_at_end_of_item().then_some(())
    }

    /// The columns that it leaves of those; `None` if it cannot be of that table.
    pub(crate) fn applied(&self, before: &Definition) -> Option<Definition> {
        let charset = self.charset.clone().or_else(|| before.charset.clone());
        let mut columns = Columns::of(before);
        // In the server's order, whatever that of the statement.
        self.drop_from(&mut columns);
        self.change_in(&mut columns, charset.as_ref())?;
        self.add_to(&mut columns, charset.as_ref())?;
        let key = columns.key();
        let mut after = Definition { charset, columns: columns.list };
        if self.converts {
            let charset = after.charset.clone()?;
            let texts = after.columns.iter_mut().filter(|column| !column.charset.is_empty());
            texts.for_each(|column| column.charset.clone_from(&charset));
        }
        for column in &mut after.columns {
            let place = key.iter().position(|name| is_same(name, &column.name));
            column.in_key = place.map(|at| at + 1);
        }
        let known = after.columns.iter().filter(|column| column.in_key.is_some()).count();
        (known == key.len()).then_some(after)
    }

    fn drop_from(&self, columns: &mut Columns) {
        for part in &self.parts {
            match part {
                Part::Drop(name) => columns.drop(name),
                Part::DropKey => columns.key_before.clear(),
                _ => {}
            }
        }
    }

    fn change_in(&self, columns: &mut Columns, charset: Option<&String>) -> Option<()> {
        for part in &self.parts {
            match part {
                Part::Rename(old, new) => {
                    let at = columns.at(old)?;
                    columns.list[at].name.clone_from(new);
                }
                Part::Change { old, column, if_there } => match columns.at(old) {
                    Some(at) => {
                        columns.list[at] = complete(column, charset)?;
                        columns.note_key(column);
                    }
                    None if *if_there => {}
                    None => return None,
                },
                _ => {}
            }
        }
        Some(())
    }

    fn add_to(&self, columns: &mut Columns, charset: Option<&String>) -> Option<()> {
        for part in &self.parts {
            match part {
                Part::Add { column, unless_there } => {
                    match (columns.named(&column.described.name), unless_there) {
                        (Some(_), true) => {}
                        (Some(_), false) => return None,
                        (None, _) => {
                            columns.list.push(complete(column, charset)?);
                            columns.before.push(String::new());
                            columns.note_key(column);
                            columns.place(column)?;
                        }
                    }
                }
                Part::Change { column, .. } => columns.place(column)?,
                Part::Key(names) => columns.key_after = Some(names.clone()),
                _ => {}
            }
        }
        Some(())
    }
}

/// Goes past the option that is next and its value.
fn option_value(tokens: &mut Tokens<'_>) -> Option<()> {
    match tokens.peek().as_str() {
        // What they name is no table option.
        "ALTER" | "FORCE" => return tokens.skip_item(),
        // `DATA DIRECTORY = ''`, `ENABLE KEYS`, `WITHOUT VALIDATION`
        "DATA" | "INDEX" => {
            tokens.next();
        }
        _ => {}
    }
    tokens.next()?;
    let _ = tokens.sign('=');
    if !tokens.group()? {
        tokens.next()?;
    }
    Some(())
}
