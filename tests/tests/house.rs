//! The house rules, read off the tree: what a stranger may rely on when adding to it.

#[path = "house/headings.rs"]
mod headings;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tahoe_tests::pipeline::SET_UP;
use tahoe_tests::program::{repository, run};

/// Lines of a file of Rust without its tests.
const FILE_LINES_MAX: usize = 500;

/// Lines of a function, its signature included.
const FUNCTION_LINES_MAX: usize = 70;

/// Where sources and datasets are named outside their own folders: the lists, and what a person is
/// shown or told to type.
const LISTS: [&str; 3] =
    ["schemas/src/datasets.rs", "tahoe/src/registry.rs", "tahoe/src/sample.rs"];
const ADVICE: [&str; 1] = ["tahoe/src/up.rs"];

/// Every file of the project, as paths from its root.
fn files() -> Vec<String> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(list).current_dir(repository()).output();
    let listed = listed.expect("git is installed");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let there = |path: &&str| repository().join(path).is_file();
    listed.lines().filter(there).map(str::to_owned).collect()
}

fn rust() -> Vec<String> {
    files().into_iter().filter(|path| path.ends_with(".rs")).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A file of Rust up to its tests, which stand at its end.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]").map_or(text, |(code, _)| code)
}

/// Folders directly in `path`.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).expect("it is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.is_dir()).collect()
}

/// `(package, dataset)` of every folder in schemas that holds one.
fn datasets() -> Vec<(String, String)> {
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let mut datasets = Vec::new();
    for package in folders(&repository().join("schemas")) {
        for dataset in folders(&package).iter().filter(|folder| folder.join("mod.rs").exists()) {
            datasets.push((name(&package), name(dataset)));
        }
    }
    datasets.retain(|(package, _)| !["src", "tests", "ecs"].contains(&package.as_str()));
    assert!(datasets.len() >= 5, "{datasets:?}");
    datasets
}

#[test]
fn every_dataset_has_its_declaration_samples_that_pass_and_samples_that_are_rejected() {
    let list = read("schemas/src/datasets.rs");
    for (package, dataset) in datasets() {
        let folder = format!("schemas/{package}/{dataset}");
        let declared = read(&format!("{folder}/dataset.yaml"));
        assert!(declared.contains(&format!("name: {package}.{dataset}\n")), "{folder}");
        assert!(list.contains(&format!("../{package}/{dataset}/mod.rs")), "{folder} is no module");
        let listed = format!("&{package}_{dataset}::DATASET");
        assert!(list.contains(&listed), "{folder} is not in the list");
        let samples = fs::read_dir(repository().join(&folder).join("samples")).expect("samples");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("readable").file_name();
        let samples: BTreeSet<_> =
            samples.map(name).map(|name| name.to_string_lossy().into_owned()).collect();
        assert!(samples.iter().any(|name| name.ends_with(".ndjson")), "{folder}: none passes");
        let rejected = |name: &&String| name.starts_with("rejected_") && name.ends_with(".log");
        assert!(samples.iter().any(|name| rejected(&name)), "{folder}: none is rejected");
        for sample in samples.iter().filter(rejected) {
            let codes = sample.replace(".log", ".codes");
            assert!(samples.contains(&codes), "{folder}/samples/{codes} is missing");
        }
    }
}

#[test]
fn every_producer_is_in_the_registry_and_is_a_binary_of_its_name() {
    let registry = read("tahoe/src/registry.rs");
    for folder in folders(&repository().join("producers")) {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(registry.contains(&format!("&tahoe_{name}::")), "{name} is not in the registry");
        assert!(folder.join("src/main.rs").exists(), "{name} has no binary");
        let manifest = read(&format!("producers/{name}/Cargo.toml"));
        assert!(manifest.contains(&format!("name = \"tahoe-{name}\"")), "{name}");
    }
}

#[test]
fn a_source_is_named_in_its_own_folders_and_in_the_lists_alone() {
    let packages: BTreeSet<_> = datasets().into_iter().map(|(package, _)| package).collect();
    // Not names but words: the system gives no thread, a list is a container, an app listens. And
    // Kafka is what carries the records of every source, before it is one. What journald keeps is
    // the system's log as well, and Tahoe is we.
    let words = ["system", "journald", "container", "app", "kafka", "tahoe"];
    let names: Vec<_> = packages.iter().filter(|name| !words.contains(&name.as_str())).collect();
    assert!(names.len() >= 2, "{names:?}");
    let tests = |path: &str| {
        ["/tests/", "/tests.rs", "/examples/", "tests/", "bench/"]
            .iter()
            .any(|part| path.contains(part))
    };
    for path in rust().iter().filter(|path| !tests(path)) {
        if LISTS.iter().chain(&ADVICE).any(|list| path == list) {
            continue;
        }
        let code = read(path);
        let producers = path.starts_with("producers/");
        for name in &names {
            // AWS has a Kafka as well, which is logged in at in its way.
            let is_msk = name == &"aws" && path.starts_with("pipeline/src/log/kafka/");
            if path.starts_with(&format!("schemas/{name}/")) || producers || is_msk {
                continue;
            }
            let is_comment = |line: &&str| line.trim_start().starts_with("//");
            let mut lines = without_tests(&code).lines().filter(|line| !is_comment(line));
            // A time zone is called so too, and so is a member of CloudWatch's metric format.
            let words =
                |line: &str| line.to_lowercase().replace("awst", "").replace("\"_aws\"", "");
            let found = lines.find(|line| words(line).contains(name.as_str()));
            assert_eq!(found, None, "{path} names {name}");
        }
    }
}

#[test]
fn files_and_functions_are_short_enough_to_be_read() {
    for path in rust() {
        let text = read(&path);
        let code = without_tests(&text);
        let lines = code.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{path} has {lines} lines without its tests");
        if path.contains("tests/") {
            continue;
        }
        for (name, lines) in functions(code) {
            assert!(lines <= FUNCTION_LINES_MAX, "{path}: {name} has {lines} lines");
        }
    }
}

/// Names and lengths of functions, as rustfmt lays them out: the brace that ends one stands under
/// its first letter.
fn functions(code: &str) -> Vec<(&str, usize)> {
    let lines: Vec<_> = code.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let start = line.trim_start();
        let words: Vec<_> = start.split(' ').take(5).collect();
        let Some(name) = words.iter().position(|word| *word == "fn") else { continue };
        let before = ["pub", "pub(crate)", "pub(super)", "pub(in", "const", "async", "unsafe"];
        if !words[..name].iter().all(|word| before.contains(word)) || line.ends_with([';', '}']) {
            continue;
        }
        let indent = &line[..line.len() - start.len()];
        let end = lines[at + 1..].iter().position(|line| {
            let rest = line.strip_prefix(indent).unwrap_or("");
            // A method without a body ends with its signature.
            rest.starts_with('}') || (rest.starts_with(')') && rest.ends_with(';'))
        });
        found.push((words.get(name + 1).copied().unwrap_or_default(), end.unwrap_or(0) + 2));
    }
    found
}

#[test]
fn nothing_is_left_to_do_and_nothing_is_of_one_machine_only() {
    // Spelled so that this file does not name them.
    let left = ["TODO", "FIXME", "XXX"].map(|word| format!("{word}:"));
    let machine = ["work", "root", "Users"].map(|folder| format!("/{folder}/"));
    for path in files() {
        if path.starts_with("samples/") || path.contains("/samples/") || path.ends_with("house.rs")
        {
            continue;
        }
        // What is no text has no lines of ours.
        let Ok(text) = fs::read_to_string(repository().join(&path)) else { continue };
        for line in text.lines() {
            let left = left.iter().find(|word| line.contains(*word));
            assert_eq!(left, None, "{path}: {line}");
            let machine = machine.iter().find(|folder| {
                line.split(['"', '\'', ' ', '=', '(']).any(|word| word.starts_with(*folder))
            });
            assert_eq!(machine, None, "{path}: {line}");
        }
    }
}

/// The compose file as an object.
fn compose() -> Value {
    serde_saphyr::from_str(&read("docker-compose.yml")).expect("docker-compose.yml is YAML")
}

/// Names of what `object` maps.
fn keys(object: &Value) -> Vec<String> {
    object.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// `(service, binary, its arguments, environment names)` of every service that is ours.
fn our_services() -> Vec<(String, String, Vec<String>, Vec<String>)> {
    let compose = compose();
    let services = compose["services"].as_object().expect("services").clone();
    let mut ours = Vec::new();
    for (name, service) in services {
        let Some(image) = service["image"].as_str().filter(|image| image.starts_with("tahoe"))
        else {
            continue;
        };
        let command = service["command"].as_array().cloned().unwrap_or_default();
        let command = command.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        ours.push((name, image.to_owned(), command, keys(&service["environment"])));
    }
    assert!(ours.len() >= 5, "{ours:?}");
    ours
}

#[test]
fn every_setting_of_the_compose_file_exists_in_its_binary() {
    for (service, binary, command, names) in our_services() {
        assert!(!names.is_empty(), "{service} has no settings");
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let help = run(&binary, &[&command[..], &["--help"]].concat());
        assert!(help.status.success(), "{service}: {}", help.stderr);
        for name in names {
            let shown = [format!("[env: {name}]"), format!("[env: {name}=")];
            let known = shown.iter().any(|shown| help.stdout.contains(shown.as_str()));
            assert!(known, "{service}: {binary} knows no {name}");
        }
    }
}

#[test]
fn the_set_up_step_of_the_compose_file_is_the_one_that_the_tests_run() {
    let step = our_services().into_iter().find(|(service, ..)| service == "setup");
    let (_, binary, command, _) = step.expect("there is a set-up step");
    assert_eq!((binary.as_str(), command), ("tahoe", SET_UP.map(str::to_owned).to_vec()));
}

/// `${NAME}`, `${NAME:-default}` and `${NAME:?why}` of the compose file.
fn substituted() -> BTreeSet<String> {
    let text = read("docker-compose.yml");
    let mut names = BTreeSet::new();
    for part in text.split("${").skip(1) {
        let end = part.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        names.insert(part[..end.unwrap_or(part.len())].to_owned());
    }
    names
}

#[test]
fn the_example_of_env_lists_what_the_compose_file_takes_and_nothing_else() {
    let text = read(".env.example");
    let setting = |line: &str| {
        let (name, _) = line.trim_start_matches('#').split_once('=')?;
        let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        (!name.is_empty() && name.chars().all(capital)).then(|| name.to_owned())
    };
    let listed: BTreeSet<String> = text.lines().filter_map(setting).collect();
    assert_eq!(listed, substituted());
}

#[test]
fn the_image_is_made_of_every_binary_and_sets_only_what_they_know() {
    let text = read("Dockerfile");
    let targets = |line: &str| line.split_once(" AS ").map(|(_, target)| target.to_owned());
    let targets: BTreeSet<_> = text.lines().filter_map(targets).collect();
    for (service, image, ..) in our_services() {
        assert!(targets.contains(&image), "{service}: no target {image} in the Dockerfile");
    }
    let services: Vec<_> = targets.iter().filter(|target| target.starts_with("tahoe-")).collect();
    let producers = folders(&repository().join("producers")).len();
    assert_eq!(services.len(), producers + 1, "every producer and the transformer: {services:?}");
    let set = text.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    for (name, _) in set {
        for service in &services {
            assert!(run(service, &["--help"]).stdout.contains(name), "{service} knows no {name}");
        }
    }
}

#[test]
fn docker_compose_takes_the_file_where_it_is_installed() {
    let compose = |arguments: &[&str]| {
        let mut command = Command::new("docker");
        command.arg("compose").args(arguments).current_dir(repository());
        command.env("ELASTIC_PASSWORD", "x").env("KIBANA_PASSWORD", "x").output()
    };
    if !compose(&["version"]).is_ok_and(|version| version.status.success()) {
        eprintln!("skipped: docker compose is not installed");
        return;
    }
    let checked = compose(&["config", "--quiet"]).expect("it runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// Spans are measured by `Instant`, and times are arguments: the wall clock is asked in one place.
#[test]
fn the_pipeline_asks_for_the_time_in_one_place() {
    let ours =
        |path: &&String| path.starts_with("pipeline/src/") && !path.ends_with("src/clock.rs");
    for path in rust().iter().filter(ours) {
        let text = read(path);
        for call in ["SystemTime::now()", "Timestamp::now()", "Zoned::now()"] {
            assert!(!without_tests(&text).contains(call), "{path}: {call}, and not clock's");
        }
    }
}
