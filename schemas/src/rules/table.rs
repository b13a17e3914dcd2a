//! The operator's files are tables: a line is a row, white space is between its words, `"…"` keeps
//! white space in a word, and `#` at the beginning of a word makes the rest of the line a remark.

use crate::datasets;

/// One row.
#[derive(Debug)]
pub(super) struct Row<'t> {
    file: &'t str,
    line: usize,
    /// Its words; at least one.
    pub(super) words: Vec<&'t str>,
}

impl Row<'_> {
    /// The dataset that a word names; none of `*`.
    pub(super) fn dataset(word: &str) -> Result<Option<&'static str>, String> {
        if word == "*" {
            return Ok(None);
        }
        let found = datasets::find(word).ok_or_else(|| format!("{word}: no such dataset"))?;
        Ok(Some(found.name))
    }

    /// `file:line: what is wrong`
    pub(super) fn error(&self, what: impl std::fmt::Display) -> String {
        format!("{}:{}: {what}", self.file, self.line)
    }
}

/// The rows of a file that have words.
pub(super) fn rows<'t>(file: &'t str, text: &'t str) -> Result<Vec<Row<'t>>, String> {
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut row = Row { file, line: index + 1, words: Vec::new() };
        let mut rest = line.trim_start_matches('\u{feff}').trim();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = match rest.strip_prefix('"') {
                Some(inside) => inside
                    .split_once('"')
                    .ok_or_else(|| row.error("a quotation mark is not closed"))?,
                None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
            };
            row.words.push(word);
            rest = after.trim_start();
        }
        if !row.words.is_empty() {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// A rule of each row of a file.
pub(super) fn rules<T>(
    file: &str,
    text: &str,
    rule: impl Fn(&Row<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    rows(file, text)?.iter().map(|row| rule(row).map_err(|what| row.error(what))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_remarks_and_quoted_white_space_are_told_apart() {
        let text = "# a remark\n\n a  \"b c\"\t# rest\r\n\"\" x#y\n";
        let found = rows("f", text).expect("it is a table");
        let words: Vec<_> = found.iter().map(|row| row.words.as_slice()).collect();
        assert_eq!(words, [&["a", "b c"][..], &["", "x#y"]]);
        assert_eq!(found[1].error("no"), "f:4: no");
        assert_eq!(rows("f", "\na \"b").expect_err("open"), "f:2: a quotation mark is not closed");
    }
}
