//! What a statement makes of tables' columns, as far as it says so itself: the text of a statement
//! is all that the binlog keeps of it. What is not understood whole makes a table's columns unknown,
//! and they are then asked for.

mod alteration;
mod column;
mod columns;
mod token;

pub(crate) use alteration::{Alteration, Definition};
pub(crate) use column::charset_of_collation;
pub(crate) use token::Modes;
use token::{Token, Tokens, tokens};

/// Database and table.
pub(crate) type TableName = (String, String);

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ddl {
    /// These, in this order; none, where columns stay as they are.
    Changes(Vec<Change>),
    /// It may concern any table.
    Unclear,
}

/// One table's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Create {
        table: TableName,
        /// It stays as it is if it is there.
        unless_there: bool,
        columns: Created,
    },
    /// Without an alteration, of what is not understood.
    Alter(TableName, Option<Alteration>),
    Rename(TableName, TableName),
    Drop(TableName),
    /// The character set of a database's new tables, if it is known.
    Database(String, Option<String>),
    DropDatabase(String),
}

/// The columns of a new table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// What the statement lists; the rest follows from the database.
    Listed(Alteration),
    Like(TableName),
    Unknown,
}

impl Ddl {
    /// Reads a statement that was run with `database` selected.
    pub fn parse(sql: &str, database: &str, modes: Modes, mariadb: bool) -> Self {
        let changes = tokens(sql, modes).and_then(|found| {
            let end = found.iter().rposition(|token| *token != Token::Sign(';'));
            let tokens = Tokens(&found[..end.map_or(0, |end| end + 1)]);
            Statement { tokens, database, modes, mariadb }.changes()
        });
        changes.map_or(Self::Unclear, Self::Changes)
    }

    /// It may concern the columns of that table.
    pub fn touches(&self, table: &TableName) -> bool {
        let Self::Changes(changes) = self else { return true };
        changes.iter().any(|change| match change {
            Change::Create { table: one, .. } | Change::Alter(one, _) | Change::Drop(one) => {
                one == table
            }
            Change::Rename(from, to) => from == table || to == table,
            Change::Database(database, _) => table.1.is_empty() && *database == table.0,
            Change::DropDatabase(database) => *database == table.0,
        })
    }

    /// Every name in small letters, as some servers keep them.
    pub fn folded(mut self) -> Self {
        let fold = |name: &mut TableName| {
            *name = (name.0.to_lowercase(), name.1.to_lowercase());
        };
        let Self::Changes(changes) = &mut self else { return self };
        for change in changes {
            match change {
                Change::Create { table, columns, .. } => {
                    fold(table);
                    if let Created::Like(model) = columns {
                        fold(model);
                    }
                }
                Change::Alter(table, _) | Change::Drop(table) => fold(table),
                Change::Rename(from, to) => [from, to].into_iter().for_each(fold),
                Change::Database(database, _) | Change::DropDatabase(database) => {
                    *database = database.to_lowercase();
                }
            }
        }
        self
    }
}

enum Object {
    Table,
    Database,
    Other,
}

struct Statement<'t> {
    tokens: Tokens<'t>,
    database: &'t str,
    modes: Modes,
    mariadb: bool,
}

impl Statement<'_> {
    /// `None`: it is not known which tables are meant.
    fn changes(&mut self) -> Option<Vec<Change>> {
        let tokens = &mut self.tokens;
        if tokens.words(&["ALTER"]) {
            let _ = tokens.words(&["ONLINE"]);
            let _ = tokens.words(&["IGNORE"]);
            return match self.object() {
                Object::Table => self.alter(),
                Object::Database => self.alter_database(),
                Object::Other => Some(Vec::new()),
            };
        }
        if tokens.words(&["CREATE"]) {
            let _ = tokens.words(&["OR", "REPLACE"]);
            return match self.object() {
                Object::Table => self.create(),
                Object::Database => self.create_database(),
                Object::Other => Some(Vec::new()),
            };
        }
        if tokens.words(&["RENAME"]) {
            let tables = tokens.words(&["TABLE"]) || tokens.words(&["TABLES"]);
            return if tables { self.rename() } else { Some(Vec::new()) };
        }
        if tokens.words(&["DROP"]) {
            return self.drop();
        }
        Some(Vec::new())
    }

    fn object(&mut self) -> Object {
        match self.tokens.peek().as_str() {
            "TABLE" => {
                self.tokens.next();
                Object::Table
            }
            "DATABASE" | "SCHEMA" => {
                self.tokens.next();
                Object::Database
            }
            _ => Object::Other,
        }
    }

    fn create_database(&mut self) -> Option<Vec<Change>> {
        // Then it may be another one that stays as it is.
        let unless_there = self.tokens.words(&["IF", "NOT", "EXISTS"]);
        let name = self.tokens.name()?;
        let charset = Alteration::charset_of_options(&mut self.tokens).filter(|_| !unless_there);
        Some(vec![Change::Database(name, charset)])
    }

    fn alter_database(&mut self) -> Option<Vec<Change>> {
        let mut options = self.tokens;
        // The session's, where the statement names none.
        if let Some(charset) = Alteration::charset_of_options(&mut options) {
            return Some(vec![Change::Database(self.database.to_owned(), Some(charset))]);
        }
        let name = self.tokens.name()?;
        let charset = Alteration::charset_of_options(&mut self.tokens);
        Some(vec![Change::Database(name, charset)])
    }

    fn table(&mut self) -> Option<TableName> {
        self.tokens.table(self.database)
    }

    fn alter(&mut self) -> Option<Vec<Change>> {
        let _ = self.tokens.words(&["IF", "EXISTS"]);
        let table = self.table()?;
        self.wait();
        let all = self.tokens;
        let read = Alteration::parse(&mut self.tokens, self.database, self.mariadb);
        let (alteration, renamed) = match read.filter(|_| !self.modes.is_foreign()) {
            Some((alteration, renamed)) => (Some(alteration), renamed),
            // Another name of the table may be in what was not understood.
            None if may_rename(all) => return None,
            None => (None, None),
        };
        let mut changes = vec![Change::Alter(table.clone(), alteration)];
        changes.extend(renamed.map(|name| Change::Rename(table, name)));
        Some(changes)
    }

    /// `WAIT 5`, `NOWAIT` of MariaDB.
    fn wait(&mut self) {
        if self.tokens.words(&["WAIT"]) {
            self.tokens.next();
        } else {
            let _ = self.tokens.words(&["NOWAIT"]);
        }
    }

    fn create(&mut self) -> Option<Vec<Change>> {
        let unless_there = self.tokens.words(&["IF", "NOT", "EXISTS"]);
        let table = self.table()?;
        let columns = self.created().unwrap_or(Created::Unknown);
        Some(vec![Change::Create { table, unless_there, columns }])
    }

    fn created(&mut self) -> Option<Created> {
        if self.modes.is_foreign() {
            return None;
        }
        let mut like = self.tokens;
        let _ = like.sign('(');
        if like.words(&["LIKE"]) {
            return like.table(self.database).map(Created::Like);
        }
        let (alteration, rest) = Alteration::of_new(self.tokens, self.mariadb)?;
        self.tokens = rest;
        Some(Created::Listed(alteration))
    }

    fn rename(&mut self) -> Option<Vec<Change>> {
        let _ = self.tokens.words(&["IF", "EXISTS"]);
        let mut changes = Vec::new();
        loop {
            let from = self.table()?;
            self.wait();
            if !self.tokens.words(&["TO"]) {
                return None;
            }
            changes.push(Change::Rename(from, self.table()?));
            if !self.tokens.sign(',') {
                return Some(changes);
            }
        }
    }

    fn drop(&mut self) -> Option<Vec<Change>> {
        let tokens = &mut self.tokens;
        if tokens.words(&["DATABASE"]) || tokens.words(&["SCHEMA"]) {
            let _ = tokens.words(&["IF", "EXISTS"]);
            return Some(vec![Change::DropDatabase(tokens.name()?)]);
        }
        if tokens.words(&["INDEX"]) {
            let _ = tokens.words(&["IF", "EXISTS"]);
            let is_key = tokens.name()?.eq_ignore_ascii_case("PRIMARY");
            let on = tokens.words(&["ON"]);
            return match is_key && on {
                true => Some(vec![Change::Alter(self.table()?, Some(Alteration::drops_key()))]),
                false => Some(Vec::new()),
            };
        }
        if !tokens.words(&["TABLE"]) && !tokens.words(&["TABLES"]) {
            return Some(Vec::new());
        }
        let _ = tokens.words(&["IF", "EXISTS"]);
        let mut changes = Vec::new();
        loop {
            changes.push(Change::Drop(self.table()?));
            if !self.tokens.sign(',') {
                return Some(changes);
            }
        }
    }
}

fn may_rename(tokens: Tokens<'_>) -> bool {
    let of_columns = |at| matches!(tokens.peek_at(at).as_str(), "COLUMN" | "INDEX" | "KEY");
    (0..tokens.0.len()).any(|at| tokens.peek_at(at) == "RENAME" && !of_columns(at + 1))
}

#[cfg(test)]
mod tests;
