//! Under which heading of its command's help a setting stands.

use super::{read, rust, without_tests};

/// A struct of settings as its source has it.
struct Settings {
    name: String,
    heading: Option<String>,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    type_name: String,
    is_flattened: bool,
    says_heading: bool,
}

/// What stands under no heading.
const OWN: &str = "the command's own";

/// Goes through a struct's settings as clap does, for which a heading holds until the next one, and
/// notes those of its own that come under another than theirs. `now` is the heading before it, and
/// `home` that of the struct which it is part of; gives the heading behind it.
fn place<'s>(
    all: &'s [Settings],
    part: &'s Settings,
    (now, home): (&'s str, &'s str),
    wrong: &mut Vec<String>,
) -> &'s str {
    let home = part.heading.as_deref().unwrap_or(home);
    let mut now = part.heading.as_deref().unwrap_or(now);
    for field in &part.fields {
        let flattened = all.iter().find(|one| field.is_flattened && one.name == field.type_name);
        match flattened {
            Some(one) => now = place(all, one, (now, home), wrong),
            None if field.says_heading || field.is_flattened || now == home => {}
            None => wrong.push(format!("{}: {} stands under {now}", part.name, field.name)),
        }
    }
    now
}

/// The structs of which clap makes settings, as rustfmt lays them out.
fn settings(code: &str) -> Vec<Settings> {
    let mut found = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let derives = line.strip_prefix("#[derive(").unwrap_or_default();
        if !derives.split([',', ' ', ':', ')']).any(|name| name == "Args") {
            continue;
        }
        let mut attributes = String::new();
        let head = lines.by_ref().find(|line| {
            attributes += line;
            line.split(' ').any(|word| word == "struct")
        });
        let head = head.expect("Args is derived for structs");
        let name = head.split(' ').skip_while(|word| *word != "struct").nth(1).expect("a name");
        let heading = attributes.split_once("next_help_heading = \"");
        let heading = heading.and_then(|(_, text)| Some(text.split_once('"')?.0.to_owned()));
        let (mut fields, mut attributes) = (Vec::new(), String::new());
        for line in lines.by_ref().take_while(|line| *line != "}").map(str::trim) {
            let field = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let Some((name, of)) = field
                .split_once(": ")
                .filter(|(name, of)| name.chars().all(is_name) && of.ends_with(','))
            else {
                attributes += if line.starts_with("//") { "" } else { line };
                continue;
            };
            let is_skipped = attributes.contains("arg(skip");
            let field = Field {
                name: name.to_owned(),
                type_name: of.trim_end_matches(',').to_owned(),
                is_flattened: attributes.contains("flatten"),
                says_heading: attributes.contains("help_heading"),
            };
            attributes.clear();
            fields.extend((!is_skipped).then_some(field));
        }
        found.push(Settings { name: name.to_owned(), heading, fields });
    }
    found
}

/// clap puts what follows a flattened struct under the heading of that one.
#[test]
fn no_setting_stands_under_the_heading_of_others() {
    // What measures has commands of its own, and some of the same names.
    let paths = rust().into_iter().filter(|path| !path.starts_with("bench/"));
    let code: Vec<_> = paths.map(|path| without_tests(&read(&path)).to_owned()).collect();
    let all: Vec<_> = code.iter().flat_map(|code| settings(code)).collect();
    assert!(all.len() >= 40, "{} structs of settings", all.len());
    let mut wrong = Vec::new();
    for part in &all {
        // Those that are added to a command have the settings of others before them.
        let call = format!("{}::augment_args(", part.name);
        let mut calls = code.iter().flat_map(|code| code.split(&call).skip(1));
        let is_added = calls.any(|call| !call.starts_with("Command::new("));
        let before = if is_added { "the heading of others" } else { OWN };
        place(&all, part, (before, OWN), &mut wrong);
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
