//! Which tables are read.

use globset::{Glob, GlobSet, GlobSetBuilder};
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use crate::ddl::TableName;

/// Databases of the server itself.
const SYSTEM: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

const TABLES: &str = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
     WHERE TABLE_TYPE = 'BASE TABLE'";

/// A database, and patterns of `database.table`.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    database: Option<String>,
    /// All tables, without one.
    patterns: Option<GlobSet>,
}

impl Selection {
    /// An empty database stands for all that are not the server's own.
    pub fn new(database: &str, patterns: &[String]) -> Result<Self, String> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = Glob::new(pattern);
            set.add(glob.map_err(|error| format!("--mysql-table {pattern}: {error}"))?);
        }
        let set = set.build().map_err(|error| format!("--mysql-table: {error}"))?;
        Ok(Self {
            database: Some(database.to_owned()).filter(|database| !database.is_empty()),
            patterns: (!patterns.is_empty()).then_some(set),
        })
    }

    pub fn has_database(&self, database: &str) -> bool {
        match &self.database {
            Some(selected) => selected == database,
            None => !SYSTEM.contains(&database),
        }
    }

    pub fn has(&self, database: &str, table: &str) -> bool {
        let name = || format!("{database}.{table}");
        self.has_database(database)
            && self.patterns.as_ref().is_none_or(|patterns| patterns.is_match(name()))
    }

    /// Those of the server's tables that are selected.
    pub async fn tables(&self, conn: &mut Conn) -> Result<Vec<TableName>, mysql_async::Error> {
        let mut tables: Vec<TableName> = conn.query(TABLES).await?;
        tables.retain(|(database, table)| self.has(database, table));
        Ok(tables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_and_patterns_select_tables_and_never_the_servers_own() {
        let all = Selection::new("", &[]).expect("valid");
        assert!(all.has("shop", "orders") && !all.has("mysql", "user"));
        let some = Selection::new("shop", &["*.order*".to_owned()]).expect("valid");
        assert!(some.has("shop", "orders"));
        assert!(!some.has("shop", "users") && !some.has("blog", "orders"));
        assert!(Selection::new("", &["[".to_owned()]).is_err());
    }
}
