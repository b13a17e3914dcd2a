//! What people read leads where it says: every page is in the book, every link to something that is
//! there, and the workflow for CI names what the repository has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tahoe_tests::program::repository;

fn read(path: &Path) -> String {
    let whole = repository().join(path);
    fs::read_to_string(whole).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file of the project whose name ends so, as paths from its root.
fn files(end: &str) -> Vec<PathBuf> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(list).current_dir(repository()).output();
    let listed = String::from_utf8(listed.expect("git is installed").stdout).expect("UTF-8");
    let files = listed.lines().filter(|path| path.ends_with(end)).map(PathBuf::from);
    files.filter(|path| repository().join(path).is_file()).collect()
}

/// Where the links of a page lead that are neither of the web nor in code.
fn links(text: &str) -> Vec<&str> {
    let (mut found, mut code) = (Vec::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        // Between backquotes a bracket is a character.
        for plain in line.split('`').step_by(2).filter(|_| !code) {
            let targets = plain.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(targets.map(|(target, _)| target));
        }
    }
    found.retain(|target| !target.is_empty() && !target.contains("://"));
    found
}

/// A heading's name in a link, as both the book and the forges make it.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// A path without its `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading_that_are_there() {
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for page in files(".md") {
        let text = read(&page);
        for link in links(&text) {
            checked += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = page.parent().expect("a file is in a folder");
            let target = if file.is_empty() { page.clone() } else { resolved(&folder.join(file)) };
            let whole = repository().join(&target);
            let headed = |text: String| {
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                headings.map(|line| anchor(line.trim_start_matches('#'))).any(|it| it == heading)
            };
            if !whole.exists() || !(heading.is_empty() || headed(read(&target))) {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 50, "{checked}");
}

#[test]
fn every_page_of_the_book_is_in_its_summary_once() {
    let summary = read(Path::new("docs/SUMMARY.md"));
    let listed = links(&summary);
    let pages: BTreeSet<_> = files(".md")
        .iter()
        .filter_map(|page| page.strip_prefix("docs").ok())
        .map(|page| page.to_string_lossy().into_owned())
        .filter(|page| page != "SUMMARY.md")
        .collect();
    assert_eq!(listed.iter().map(|&page| page.to_owned()).collect::<BTreeSet<_>>(), pages);
    assert_eq!(listed.len(), pages.len(), "a page is listed twice");
    assert!(read(Path::new("book.toml")).contains("\nsrc = \"docs\"\n"));
}

/// The steps' commands of a workflow.
fn commands(workflow: &Value) -> Vec<String> {
    let jobs = workflow["jobs"].as_object().expect("it has jobs");
    let steps = jobs.values().flat_map(|job| job["steps"].as_array().expect("it has steps"));
    steps.filter_map(|step| step["run"].as_str()).map(str::to_owned).collect()
}

#[test]
fn the_workflow_names_jobs_files_and_images_that_are_there() {
    let text = read(Path::new(".github/workflows/ci.yml"));
    let workflow: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    let jobs = workflow["jobs"].as_object().expect("it has jobs");
    for (name, job) in jobs {
        let needs = match &job["needs"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        needs.iter().for_each(|need| assert!(jobs.contains_key(*need), "{name} needs {need}"));
        assert!(job["runs-on"].is_string(), "{name}");
    }
    let ours = ["packaging/", "tests/", ".ci/", "docker/"];
    let mut found = BTreeSet::new();
    for command in commands(&workflow) {
        let words = command.split(|c: char| c.is_whitespace() || ['(', ')', ';'].contains(&c));
        for word in words.filter(|word| ours.iter().any(|folder| word.starts_with(folder))) {
            assert!(repository().join(word).exists(), "{word} is not there");
            found.insert(word.to_owned());
        }
    }
    assert!(found.contains(".ci/run") && found.contains("packaging/targets"), "{found:?}");
    let listed = Command::new(repository().join("packaging/targets")).output().expect("it runs");
    let targets: BTreeSet<_> =
        String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect();
    let dockerfile = read(Path::new("Dockerfile"));
    for target in &targets {
        assert!(dockerfile.contains(&format!("\nFROM runtime AS {target}\n")), "{target}");
    }
    assert!(targets.contains("tahoe") && targets.contains("tahoe-transformer"), "{targets:?}");
}
