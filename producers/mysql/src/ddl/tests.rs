//! Statements, and the columns that they leave: `name:type` and what else matters of each.

use super::*;

fn shown(definition: &Definition) -> String {
    let one = |column: &crate::column::Described| {
        let charset = match column.charset.as_str() {
            "" => String::new(),
            set => format!(" {set}"),
        };
        let unsigned = if column.full_type.contains("unsigned") { " unsigned" } else { "" };
        let key = column.in_key.map_or(String::new(), |at| format!(" key {at}"));
        format!("{}:{}{unsigned}{charset}{key}", column.name, column.data_type)
    };
    definition.columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn created(sql: &str) -> Option<Definition> {
    match Ddl::parse(sql, "shop", Modes::default(), true) {
        Ddl::Changes(changes) => match changes.as_slice() {
            [Change::Create { columns: Created::Listed(listed), .. }] => {
                listed.applied(&Definition::default())
            }
            _ => None,
        },
        Ddl::Unclear => None,
    }
}

/// What an `ALTER TABLE t` makes of one table.
fn altered(specifications: &str) -> Option<String> {
    let before = created(
        "CREATE TABLE t (a INT UNSIGNED, b VARCHAR(9), c ENUM('x','y''z'), PRIMARY KEY (a, b)) \
         CHARSET latin1",
    );
    let sql = format!("ALTER TABLE t {specifications}");
    let Ddl::Changes(changes) = Ddl::parse(&sql, "shop", Modes::default(), true) else {
        return None;
    };
    let Some(Change::Alter(_, Some(alteration))) = changes.first() else { return None };
    alteration.applied(&before.expect("it is understood")).map(|after| shown(&after))
}

#[test]
fn a_new_table_has_the_columns_that_its_statement_lists() {
    let sql = "CREATE TABLE IF NOT EXISTS `shop`.`größe` (
        `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT COMMENT 'key, (unsigned)',
        `key` varchar(255) COLLATE utf8mb4_unicode_ci DEFAULT 'a,b',
        note TEXT CHARACTER SET latin1, plain CHAR(3) NOT NULL DEFAULT _utf8'x', raw BLOB,
        at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
        doc JSON CHECK (json_valid(`doc`)), twice INT GENERATED ALWAYS AS (id * 2) STORED,
        owner INT REFERENCES people (id) ON DELETE SET NULL,
        PRIMARY KEY USING BTREE (`id`, `key`(10) DESC), UNIQUE KEY `u` (`key`), KEY (plain),
        CONSTRAINT `f` FOREIGN KEY (`owner`) REFERENCES `people` (`id`) ON DELETE CASCADE
    ) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
      COMMENT='x' /*!50100 PARTITION BY HASH (id) PARTITIONS 4 */";
    assert_eq!(
        created(sql).map(|definition| shown(&definition)).as_deref(),
        Some(
            "id:bigint unsigned key 1, key:varchar utf8mb4 key 2, note:text latin1, \
             plain:char utf8mb4, raw:blob, at:timestamp, doc:longtext utf8mb4, twice:int, \
             owner:int"
        )
    );
    let short = created("create table t (n serial, d double precision, f float(53), b bool key)");
    assert_eq!(
        short.map(|definition| shown(&definition)).as_deref(),
        Some("n:bigint unsigned, d:double, f:double, b:tinyint key 1")
    );
}

#[test]
fn what_a_statement_does_not_say_makes_the_columns_unknown() {
    for sql in [
        "CREATE TABLE t (name VARCHAR(9))",
        "CREATE TABLE t (name VARCHAR(9)) COLLATE uca1400_ai_ci",
        "CREATE TABLE t (a INT) SELECT 1 AS b",
        "CREATE TABLE t (a INT) WITH SYSTEM VERSIONING",
        "CREATE TABLE t (a INT, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START)",
        "CREATE TABLE t (a SOMETHING)",
    ] {
        assert_eq!(created(sql), None, "{sql}");
    }
    for specifications in ["ADD SYSTEM VERSIONING", "ADD d NUMBER", "ORDER BY a", "FROBNICATE"] {
        assert_eq!(altered(specifications), None, "{specifications}");
    }
}

#[test]
fn an_alteration_leaves_the_columns_that_the_server_would() {
    for (specifications, expected) in [
        (
            "ADD COLUMN d TEXT FIRST, ADD e DATE AFTER a, ADD KEY (d), ADD f INT DEFAULT 1",
            "d:text latin1, a:int unsigned key 1, e:date, b:varchar latin1 key 2, \
             c:enum latin1, f:int",
        ),
        // Two names change places: both are those before the statement.
        ("CHANGE a b BIGINT, CHANGE COLUMN b a INT", "b:bigint key 1, a:int key 2, c:enum latin1"),
        ("DROP c, ADD c INT FIRST", "c:int, a:int unsigned key 1, b:varchar latin1 key 2"),
        (
            "MODIFY a INT AFTER c, RENAME COLUMN B TO `b x`, ALGORITHM=INPLACE, LOCK = NONE",
            "b x:varchar latin1 key 2, c:enum latin1, a:int key 1",
        ),
        (
            "DROP PRIMARY KEY, ADD PRIMARY KEY (c), DROP COLUMN IF EXISTS z, DROP INDEX i",
            "a:int unsigned, b:varchar latin1, c:enum latin1 key 1",
        ),
        (
            "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, ADD d CHAR(1)",
            "a:int unsigned key 1, b:varchar utf8mb4 key 2, c:enum utf8mb4, d:char utf8mb4",
        ),
        (
            "ADD (d INT, e CHAR(1) CHARSET koi8r), DEFAULT CHARACTER SET = utf8mb4, FORCE",
            "a:int unsigned key 1, b:varchar latin1 key 2, c:enum latin1, d:int, e:char koi8r",
        ),
        (
            "ADD COLUMN IF NOT EXISTS a TEXT, ALTER c SET DEFAULT 'x', ENGINE=InnoDB, \
             PARTITION BY HASH (a) PARTITIONS 2",
            "a:int unsigned key 1, b:varchar latin1 key 2, c:enum latin1",
        ),
    ] {
        assert_eq!(altered(specifications).as_deref(), Some(expected), "{specifications}");
    }
}

#[test]
fn a_statement_says_which_tables_it_touches() {
    let table = |name: &str| ("shop".to_owned(), name.to_owned());
    let parse = |sql: &str| Ddl::parse(sql, "shop", Modes::default(), true);
    for (sql, touched, other) in [
        ("RENAME TABLE a TO shop.b, `c` WAIT 5 TO blog.d", "b", "d"),
        ("DROP TABLE IF EXISTS `a`, b /* generated by server */", "b", "c"),
        ("DROP INDEX `PRIMARY` ON b", "b", "c"),
        ("ALTER ONLINE TABLE IF EXISTS b NOWAIT ADD x NUMBER", "b", "c"),
        ("ALTER TABLE a ADD x INT, RENAME b", "b", "c"),
        ("CREATE OR REPLACE TABLE b LIKE c", "b", "c"),
    ] {
        let ddl = parse(sql);
        assert!(ddl.touches(&table(touched)), "{sql}: {ddl:?}");
        assert!(!ddl.touches(&table(other)), "{sql}: {ddl:?}");
    }
    let database = |sql, charset: Option<&str>| {
        let change = Change::Database("shop".to_owned(), charset.map(str::to_owned));
        assert_eq!(parse(sql), Ddl::Changes(vec![change]), "{sql}");
    };
    database("ALTER DATABASE CHARACTER SET = latin1", Some("latin1"));
    database("ALTER SCHEMA `shop` DEFAULT COLLATE utf8mb4_bin", Some("utf8mb4"));
    database("CREATE DATABASE shop /*!40100 DEFAULT CHARACTER SET greek */", Some("greek"));
    database("CREATE DATABASE IF NOT EXISTS shop CHARSET greek", None);
    database("CREATE DATABASE shop", None);
    assert_eq!(parse("CREATE VIEW v AS SELECT 1"), Ddl::Changes(Vec::new()));
    assert_eq!(parse("CREATE INDEX i ON b (x)"), Ddl::Changes(Vec::new()));
    assert_eq!(parse("ALTER TABLE b RENAME TO c, FROBNICATE"), Ddl::Unclear);
    let folded = parse("DROP TABLE B").folded();
    assert!(folded.touches(&table("b")));
}
