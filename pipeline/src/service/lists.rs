//! Lists of settings in a small TOML file, beside their flags: `pg-poll = ["orders:id"]`. A key is
//! the flag's name, and its values are what the flag takes, read by the same parser.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;

/// A list that a file may add to.
pub struct List<'l> {
    /// The flag, without its dashes.
    pub name: &'static str,
    /// What was given so far; the file's values go behind it.
    pub values: &'l mut Vec<String>,
    /// Says why a value cannot be; those of the others are looked at when they are used.
    pub check: Option<&'l CheckValue>,
}

/// Says why a value cannot be.
pub type CheckValue = dyn Fn(&str) -> Result<(), String>;

impl<'l> List<'l> {
    /// A list whose values are looked at when they are used.
    pub fn of(name: &'static str, values: &'l mut Vec<String>) -> Self {
        Self { name, values, check: None }
    }
}

/// What a file may hold.
type File = BTreeMap<Spanned<String>, Vec<Spanned<String>>>;

/// Adds what the file says, if there is one; `setting` names the flag of the file.
///
/// # Errors
/// The file cannot be read, is no TOML, has a key that is not among the lists, or a value that
/// cannot be: with the file, the line and the key.
pub fn add_lists(
    setting: &str,
    file: Option<&Path>,
    mut lists: Vec<List<'_>>,
) -> Result<(), String> {
    let Some(path) = file.filter(|path| !path.as_os_str().is_empty()) else { return Ok(()) };
    let name = format!("{setting} {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let found: File = toml::from_str(&text).map_err(|error| {
        let place =
            error.span().map_or(String::new(), |span| format!(" line {}", line(span.start)));
        format!("{name}{place}: {}: give LIST = [\"VALUE\"]", error.message())
    })?;
    for (key, values) in found {
        let known: Vec<_> = lists.iter().map(|list| list.name).collect();
        let Some(list) = lists.iter_mut().find(|list| list.name == key.get_ref()) else {
            let place = format!("{name} line {}", line(key.span().start));
            let known = known.join(", ");
            return Err(format!("{place}: no list {}; there are {known}", key.get_ref()));
        };
        for value in values {
            if let Some(check) = list.check {
                let place = format!("{name} line {}", line(value.span().start));
                check(value.get_ref())
                    .map_err(|error| format!("{place}, {}: {error}", list.name))?;
            }
            list.values.push(value.into_inner());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str) -> Result<(Vec<String>, Vec<String>), String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lists.toml");
        std::fs::write(&path, text).expect("it can be written");
        let (mut polls, mut logs) = (vec!["first:id".to_owned()], Vec::new());
        let check = |value: &str| match value.contains(':') {
            true => Ok(()),
            false => Err(format!("--poll {value}: give TABLE:COLUMNS")),
        };
        let poll = List { name: "poll", values: &mut polls, check: Some(&check) };
        let lists = vec![poll, List::of("log", &mut logs)];
        add_lists("--lists", Some(&path), lists)
            .map_err(|error| error.replace(path.to_str().expect("UTF-8"), "FILE"))?;
        Ok((polls, logs))
    }

    #[test]
    fn a_file_adds_to_what_the_flags_say() {
        let found = added("# tables\npoll = [\n  \"orders:id\",\n]\nlog = [\"/var/log/a.log\"]\n");
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(found, Ok((texts(&["first:id", "orders:id"]), texts(&["/var/log/a.log"]))));
    }

    #[test]
    fn what_is_wrong_is_named_with_file_line_and_key() {
        for (text, expected) in [
            ("\npolls = []", "--lists FILE line 2: no list polls; there are poll, log"),
            (
                "poll = [\n\"a:id\",\n\"b\"]",
                "--lists FILE line 3, poll: --poll b: give TABLE:COLUMNS",
            ),
        ] {
            assert_eq!(added(text).expect_err("refused"), expected);
        }
        for (text, part) in [
            ("poll = 'a:id'", "--lists FILE line 1: invalid type: string"),
            ("\n\npoll = [", "--lists FILE line 3: "),
            ("log = []\nlog = []", "--lists FILE line 2: duplicate key"),
        ] {
            let error = added(text).expect_err("refused");
            assert!(error.contains(part), "{error}");
        }
        let missing = add_lists("--lists", Some(Path::new("/nowhere/x")), Vec::new());
        assert!(missing.expect_err("refused").starts_with("--lists /nowhere/x: "));
    }
}
