//! What the columns of tables were, for a binlog that does not name them: taken from the server at a
//! place that is known, changed by the statements that the binlog has, and kept beside the position.
//!
//! A statement that changes columns has a number, and a point says how many it has behind it. What
//! is kept of a table are its definitions with the numbers from which they hold, stored before any
//! point or record that relies on them; so a start finds those of its point, whatever was read
//! beyond it before. It is JSON of version 1 for each table:
//!
//! | key | what |
//! |---|---|
//! | `v` | 1 |
//! | `d`, `t` | database and table |
//! | `h` | definitions: `n`, the number from which it holds; `is`, `null` where it is not known |
//!
//! A definition without columns is that of no table. One whose table has no name is that of the
//! database, and says the character set that its new tables take.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ddl::{Change, Created, Ddl, Definition, TableName};
use crate::selection::Selection;

const VERSION: u32 = 1;

/// A table's definition from a number on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    n: u64,
    is: Option<Definition>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    v: u32,
    #[serde(rename = "d")]
    database: String,
    #[serde(rename = "t")]
    table: String,
    #[serde(rename = "h")]
    versions: Vec<Version>,
}

/// The tables' columns up to where reading is.
#[derive(Debug, Default)]
pub(crate) struct History {
    tables: BTreeMap<TableName, Vec<Version>>,
    /// Statements so far that changed columns.
    pub number: u64,
}

impl History {
    /// Reads what was kept, all of it; `None` if it is damaged or of a newer version.
    pub fn of(kept: &[String]) -> Option<Self> {
        let mut history = Self::default();
        for text in kept {
            let kept: Kept =
                serde_json::from_str(text).ok().filter(|kept: &Kept| kept.v == VERSION)?;
            history.tables.insert((kept.database, kept.table), kept.versions);
        }
        Some(history)
    }

    /// Goes back to a point, and says of which tables something else is kept now.
    pub fn go_back(&mut self, number: u64, selection: &Selection) -> Vec<TableName> {
        self.number = number;
        let mut changed = Vec::new();
        for (name, versions) in &mut self.tables {
            let before = versions.len();
            match is_selected(selection, name) {
                true => versions.retain(|version| version.n <= number),
                // Its statements would not be followed.
                false => versions.clear(),
            }
            if versions.len() != before {
                changed.push(name.clone());
            }
        }
        self.tables.retain(|_, versions| !versions.is_empty());
        changed
    }

    /// Begins anew with these definitions, and says of which tables something else is kept now.
    pub fn begin(&mut self, tables: Vec<(TableName, Definition)>) -> Vec<TableName> {
        let numbers = self.tables.values().flatten().map(|version| version.n);
        // Nothing that was kept before counts behind this.
        self.number = numbers.max().map_or(0, |last| last + 1).max(self.number);
        let mut changed: BTreeSet<_> = std::mem::take(&mut self.tables).into_keys().collect();
        for (name, definition) in tables {
            changed.insert(name.clone());
            self.set(&name, Some(definition));
        }
        changed.into_iter().collect()
    }

    /// The columns of a table here, if they are known.
    pub fn definition(&self, name: &TableName) -> Option<&Definition> {
        self.tables.get(name)?.last()?.is.as_ref()
    }

    /// Takes a table's definition from now on.
    pub fn set(&mut self, name: &TableName, is: Option<Definition>) {
        let number = self.number;
        let versions = self.tables.entry(name.clone()).or_default();
        versions.retain(|version| version.n != number);
        versions.push(Version { n: number, is });
    }

    /// Takes a statement in, and says which tables it changed. One that failed may have done a
    /// part of what it says.
    pub fn apply(&mut self, ddl: &Ddl, failed: bool, selection: &Selection) -> Vec<TableName> {
        let before = self.number;
        self.number += 1;
        let mut changed = BTreeSet::new();
        match ddl {
            Ddl::Unclear => {
                let known = |(_, versions): &(&TableName, &Vec<Version>)| {
                    versions.last().is_some_and(|last| last.is.is_some())
                };
                changed.extend(self.tables.iter().filter(known).map(|(name, _)| name.clone()));
                changed.iter().for_each(|name| self.set(name, None));
            }
            Ddl::Changes(changes) => {
                for change in changes {
                    self.change(change, selection, &mut changed);
                }
                if failed {
                    changed.iter().for_each(|name| self.set(name, None));
                }
            }
        }
        if changed.is_empty() {
            self.number = before;
        }
        changed.into_iter().collect()
    }

    fn change(
        &mut self,
        change: &Change,
        selection: &Selection,
        changed: &mut BTreeSet<TableName>,
    ) {
        let (name, is) = match change {
            Change::Create { table, unless_there, columns } => {
                let known = self.tables.get(table).and_then(|versions| versions.last());
                let is_there = match known.map(|version| &version.is) {
                    Some(Some(definition)) => !definition.columns.is_empty(),
                    // It may have been there.
                    Some(None) | None => *unless_there,
                };
                if *unless_there && is_there {
                    return;
                }
                (table, self.created(table, columns))
            }
            Change::Alter(table, alteration) => {
                let Some(before) = self.definition(table) else { return };
                (table, alteration.as_ref().and_then(|alteration| alteration.applied(before)))
            }
            Change::Rename(from, to) => {
                let is = self.definition(from).cloned();
                if self.tables.contains_key(from) {
                    self.put(from, Some(Definition::default()), selection, changed);
                }
                (to, is)
            }
            Change::Drop(table) if self.tables.contains_key(table) => {
                (table, Some(Definition::default()))
            }
            Change::Drop(_) => return,
            Change::Database(database, charset) => {
                let name = (database.clone(), String::new());
                let is = Definition { charset: charset.clone(), columns: Vec::new() };
                return self.put(&name, Some(is), selection, changed);
            }
            Change::DropDatabase(database) => {
                let of = |name: &&TableName| name.0 == *database;
                let names: Vec<_> = self.tables.keys().filter(of).cloned().collect();
                for name in names {
                    self.put(&name, Some(Definition::default()), selection, changed);
                }
                return;
            }
        };
        self.put(name, is, selection, changed);
    }

    fn created(&self, table: &TableName, columns: &Created) -> Option<Definition> {
        match columns {
            Created::Listed(listed) => {
                let database = (table.0.clone(), String::new());
                listed.applied(self.definition(&database).unwrap_or(&Definition::default()))
            }
            Created::Like(model) => {
                self.definition(model).filter(|model| !model.columns.is_empty()).cloned()
            }
            Created::Unknown => None,
        }
    }

    fn put(
        &mut self,
        name: &TableName,
        is: Option<Definition>,
        selection: &Selection,
        changed: &mut BTreeSet<TableName>,
    ) {
        if is_selected(selection, name) {
            self.set(name, is);
            changed.insert(name.clone());
        }
    }

    /// No start will go on before this point: what held until then only is left out when the table
    /// is kept next. Says which tables are gone for good.
    pub fn forget(&mut self, number: u64) -> Vec<TableName> {
        for versions in self.tables.values_mut() {
            let holds = versions.iter().rposition(|version| version.n <= number).unwrap_or(0);
            versions.drain(..holds);
        }
        let is_gone = |version: &Version| {
            version.n <= number && version.is.as_ref().is_some_and(|is| is.columns.is_empty())
        };
        let gone = self
            .tables
            .iter()
            .filter(|(name, versions)| !name.1.is_empty() && versions.iter().all(is_gone));
        let gone: Vec<_> = gone.map(|(name, _)| name.clone()).collect();
        gone.iter().for_each(|name| drop(self.tables.remove(name)));
        gone
    }

    /// What is to be kept of a table; `None`: nothing.
    pub fn kept(&self, name: &TableName) -> Option<String> {
        let versions = self.tables.get(name)?.clone();
        let (database, table) = name.clone();
        let kept = Kept { v: VERSION, database, table, versions };
        Some(serde_json::to_string(&kept).expect("texts and numbers are always JSON"))
    }
}

fn is_selected(selection: &Selection, (database, table): &TableName) -> bool {
    match table.is_empty() {
        true => selection.has_database(database),
        false => selection.has(database, table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::Modes;

    fn name(table: &str) -> TableName {
        ("shop".to_owned(), table.to_owned())
    }

    fn ddl(sql: &str) -> Ddl {
        Ddl::parse(sql, "shop", Modes::default(), true)
    }

    fn all() -> Selection {
        Selection::new("shop", &[]).expect("valid")
    }

    fn names(history: &History, table: &str) -> String {
        let Some(definition) = history.definition(&name(table)) else { return "?".to_owned() };
        let names = definition.columns.iter().map(|column| column.name.as_str());
        names.collect::<Vec<_>>().join(",")
    }

    fn apply(history: &mut History, sql: &str) -> usize {
        history.apply(&ddl(sql), false, &all()).len()
    }

    #[test]
    fn a_start_decodes_with_the_columns_of_its_own_point() {
        let mut history = History::default();
        apply(&mut history, "CREATE TABLE t (a INT, b INT)");
        assert_eq!(apply(&mut history, "CREATE INDEX i ON t (a)"), 0);
        let point = history.number;
        apply(&mut history, "ALTER TABLE t DROP a, ADD c INT FIRST");
        apply(&mut history, "RENAME TABLE t TO u");
        assert_eq!((names(&history, "t"), names(&history, "u")), (String::new(), "c,b".to_owned()));
        let kept: Vec<_> =
            ["t", "u"].iter().filter_map(|table| history.kept(&name(table))).collect();
        let mut again = History::of(&kept).expect("of this version");
        assert_eq!(again.go_back(point, &all()), [name("t"), name("u")]);
        assert_eq!((names(&again, "t"), names(&again, "u")), ("a,b".to_owned(), "?".to_owned()));
        assert_eq!(again.kept(&name("u")), None);
        let mut ahead = History::of(&kept).expect("of this version");
        assert!(ahead.go_back(history.number, &all()).is_empty());
        assert_eq!(names(&ahead, "u"), "c,b");
        assert_eq!(ahead.forget(history.number), [name("t")]);
    }

    #[test]
    fn what_is_not_understood_is_unknown_until_it_is_asked_for() {
        let mut history = History::default();
        apply(&mut history, "CREATE TABLE t (a INT)");
        assert_eq!(apply(&mut history, "ALTER TABLE t FROBNICATE"), 1);
        assert_eq!(names(&history, "t"), "?");
        history.set(&name("t"), Some(Definition::default()));
        assert_eq!(apply(&mut history, "CREATE TABLE IF NOT EXISTS t (x INT)"), 1);
        assert_eq!(apply(&mut history, "CREATE TABLE IF NOT EXISTS t (y INT)"), 0);
        assert_eq!(names(&history, "t"), "x");
        let failed = history.apply(&ddl("DROP TABLE t, u"), true, &all());
        assert_eq!((failed, names(&history, "t")), (vec![name("t")], "?".to_owned()));
        apply(&mut history, "CREATE TABLE texts (a TEXT)");
        assert_eq!(names(&history, "texts"), "?");
        apply(&mut history, "ALTER DATABASE shop CHARACTER SET latin1");
        apply(&mut history, "CREATE OR REPLACE TABLE texts (a TEXT)");
        let texts = history.definition(&name("texts")).expect("it is known");
        assert_eq!(texts.columns[0].charset, "latin1");
        apply(&mut history, "CREATE TABLE new LIKE t");
        assert_eq!(names(&history, "new"), "?");
    }

    #[test]
    fn a_beginning_leaves_nothing_of_what_was_kept_before() {
        let mut history = History::default();
        apply(&mut history, "CREATE TABLE old (a INT)");
        let kept = history.kept(&name("old")).expect("it is known");
        let mut fresh = History::of(&[kept]).expect("of this version");
        assert_eq!(fresh.begin(vec![(name("t"), Definition::default())]), [name("old"), name("t")]);
        assert!(fresh.number > history.number);
        assert_eq!(fresh.kept(&name("old")), None);
        assert!(History::of(&["{\"v\":2}".to_owned()]).is_none());
    }
}
