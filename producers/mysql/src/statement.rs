//! What a statement in the binlog does, as far as it matters here: rows do not come as statements,
//! definitions do.

/// What a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statement<'a> {
    Begin,
    /// COMMIT, or ROLLBACK of what some tables have kept all the same.
    End,
    /// Changes definitions.
    Definition,
    /// Empties a table: `[database.]table`, quotes removed.
    Truncate(Option<&'a str>, &'a str),
    /// Changes rows, in the place of their images.
    Rows,
    /// Accounts, privileges, maintenance, savepoints, temporary tables.
    Other,
}

impl<'a> Statement<'a> {
    pub fn of(sql: &'a str) -> Self {
        let rest = after_comments(sql);
        let (first, after) = word(rest);
        let (second, beyond) = word(after);
        match first.to_ascii_uppercase().as_str() {
            "BEGIN" => Self::Begin,
            "START" => Self::Begin,
            "COMMIT" => Self::End,
            "ROLLBACK" if second.is_empty() => Self::End,
            "XA" if ["START", "BEGIN"].iter().any(|word| second.eq_ignore_ascii_case(word)) => {
                Self::Begin
            }
            "TRUNCATE" if second.eq_ignore_ascii_case("TABLE") => truncate(beyond),
            "TRUNCATE" => truncate(after),
            "DELETE" if second.eq_ignore_ascii_case("FROM") && !has_condition(beyond) => {
                // What a server that starts writes for its tables in memory.
                truncate(beyond)
            }
            "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" => Self::Rows,
            "CREATE" | "ALTER" | "DROP" | "RENAME" => match second.to_ascii_uppercase().as_str() {
                // Statements about accounts hold hashes of passwords.
                "USER" | "ROLE" | "TEMPORARY" => Self::Other,
                _ => Self::Definition,
            },
            _ => Self::Other,
        }
    }
}

fn has_condition(sql: &str) -> bool {
    let upper = sql.to_ascii_uppercase();
    upper.split_ascii_whitespace().any(|word| word == "WHERE" || word == "LIMIT" || word == "USING")
}

fn truncate(sql: &str) -> Statement<'_> {
    let Some((first, rest)) = name(sql.trim_start()) else { return Statement::Definition };
    match rest.trim_start().strip_prefix('.').and_then(|rest| name(rest.trim_start())) {
        Some((second, _)) => Statement::Truncate(Some(first), second),
        None => Statement::Truncate(None, first),
    }
}

/// A name, with its backquotes or without.
fn name(text: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix('`') {
        // A doubled backquote is part of the name, and stays doubled: such names are rare.
        let mut from = 0;
        loop {
            let end = from + quoted[from..].find('`')?;
            if !quoted[end + 1..].starts_with('`') {
                return Some((&quoted[..end], &quoted[end + 1..]));
            }
            from = end + 2;
        }
    }
    let ends = |c: char| c.is_ascii_whitespace() || ".;`/".contains(c);
    let end = text.find(ends).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn word(text: &str) -> (&str, &str) {
    let text = after_comments(text);
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

fn after_comments(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        // What stands between /*! and */ is executed.
        if let Some(executed) = text.strip_prefix("/*!") {
            text = executed.trim_start_matches(|c: char| c.is_ascii_digit());
            continue;
        }
        let Some(comment) = text.strip_prefix("/*") else { return text };
        let Some((_, rest)) = comment.split_once("*/") else { return "" };
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_by_their_first_words() {
        use Statement::{Begin, Definition, End, Other, Rows, Truncate};
        for (sql, expected) in [
            ("BEGIN", Begin),
            ("COMMIT", End),
            ("ROLLBACK TO `a`", Other),
            ("/* by app */ alter table t add c int", Definition),
            ("CREATE USER x IDENTIFIED BY PASSWORD '*1'", Other),
            ("DROP TEMPORARY TABLE IF EXISTS `t`", Other),
            (
                "TRUNCATE TABLE `shop`.`order items` /* generated */",
                Truncate(Some("shop"), "order items"),
            ),
            ("truncate orders", Truncate(None, "orders")),
            ("DELETE FROM `shop`.`cache`", Truncate(Some("shop"), "cache")),
            ("DELETE FROM cache WHERE id = 1", Rows),
            ("INSERT INTO t VALUES (1)", Rows),
            ("GRANT ALL ON *.* TO x", Other),
        ] {
            assert_eq!(Statement::of(sql), expected, "{sql}");
        }
    }
}
