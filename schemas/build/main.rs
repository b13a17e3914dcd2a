//! Generates a constant for every field of ECS and of every dataset.yaml, numbered in the order of
//! nested JSON, and the tables by which an event is written.

#[path = "../src/alert.rs"]
mod alert;
#[path = "../src/dashboard.rs"]
mod dashboard;
mod dashboards;
mod declaration;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use declaration::{Declaration, OwnField, Shared};

type Failure = Box<dyn std::error::Error>;

const ECS: &str = "ecs/fields-9.4.0.tsv";
const OWN: &str = "ecs/own.yaml";
/// The set of an event's fields is one word of 64 bits that says which of 64 words are in use.
const FIELDS_MAX: usize = 64 * 64;

struct Leaf {
    kind: String,
    array: bool,
    file: String,
}

#[derive(Default)]
struct Tree {
    leaf: Option<Leaf>,
    children: BTreeMap<String, Tree>,
}

fn main() -> Result<(), Failure> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut tree = Tree::default();
    let multi = read_ecs(&root, &mut tree)?;
    let shared = Shared::parse(OWN, &read(&root.join(OWN))?)?;
    add_own(&mut tree, &shared.fields, OWN)?;
    let mut declared_all = Vec::new();
    for path in dataset_files(&root)? {
        let file = path.strip_prefix(&root)?.display().to_string();
        let declared = Declaration::parse(&file, &read(&path)?)?;
        let folder = path.parent().and_then(|folder| folder.strip_prefix(&root).ok());
        if folder != Some(Path::new(&declared.name.replace('.', "/"))) {
            return Err(format!("{file}: name {:?} is not its folder's", declared.name).into());
        }
        add_own(&mut tree, &declared.fields, &file)?;
        declared_all.push(declared);
    }
    let mut declarations = String::new();
    for declared in &declared_all {
        declarations.push_str(&format!("{},\n", declared.constant(&declared_all)?));
    }
    let mut made = Made::default();
    made.node(&tree, &Place::default());
    if made.leaves_count > FIELDS_MAX {
        return Err(format!("{} fields; Event holds {FIELDS_MAX}", made.leaves_count).into());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("fields.rs"), &made.constants)?;
    fs::write(out.join("tables.rs"), made.tables(&multi))?;
    let shared = declaration::constants(&shared.fields);
    let declarations = format!(
        "/// Days that events are kept unless their dataset says otherwise.\n\
         pub(crate) const RETENTION_DAYS: u32 = {};\n\
         static SHARED: &[OwnField] = &[{shared}];\n\
         static DECLARATIONS: &[Declaration] = &[\n{declarations}];\n",
        declaration::RETENTION_DAYS
    );
    fs::write(out.join("declarations.rs"), declarations)?;
    let datasets: Vec<_> = declared_all.into_iter().map(|declared| declared.name).collect();
    fs::write(out.join("dashboards.json"), dashboards::composed(&root, &datasets, &tree)?)?;
    fs::write(out.join("alerts.json"), dashboards::alerts(&root, &tree)?)?;
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    println!("cargo:rerun-if-changed={}", path.display());
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Gives the multi-fields, which are in templates and not in documents.
fn read_ecs(root: &Path, tree: &mut Tree) -> Result<Vec<(String, String)>, Failure> {
    let text = read(&root.join(ECS))?;
    let mut rows: Vec<Vec<&str>> =
        text.lines().skip(2).map(|line| line.split('\t').collect()).collect();
    rows.sort();
    let kinds: BTreeMap<&str, &str> = rows.iter().map(|row| (row[0], row[1])).collect();
    let mut multi = Vec::new();
    for row in &rows {
        let [name, kind, _level, normalization] = row[..] else {
            return Err(format!("{ECS}: {row:?} has not four columns").into());
        };
        let parent = name.rsplit_once('.').and_then(|(parent, _)| kinds.get(parent));
        if parent.is_some_and(|kind| is_scalar(kind)) {
            multi.push((name.to_owned(), kind.to_owned()));
            continue;
        }
        let array = normalization == "array";
        add(tree, name, Leaf { kind: kind.to_owned(), array, file: ECS.to_owned() })?;
    }
    Ok(multi)
}

fn is_scalar(kind: &str) -> bool {
    !matches!(kind, "object" | "nested" | "flattened")
}

/// `<package>/<dataset>/dataset.yaml`, sorted.
fn dataset_files(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    println!("cargo:rerun-if-changed={}", root.display());
    for package in fs::read_dir(root)? {
        let package = package?.path();
        let named = package.file_name().is_some_and(|name| name != "src" && name != "tests");
        if !package.is_dir() || !named {
            continue;
        }
        for dataset in fs::read_dir(package)? {
            let file = dataset?.path().join("dataset.yaml");
            if file.is_file() {
                found.push(file);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn add_own(tree: &mut Tree, fields: &[OwnField], file: &str) -> Result<(), Failure> {
    for field in fields {
        let leaf = Leaf { kind: field.kind.clone(), array: field.array, file: file.to_owned() };
        add(tree, &field.name, leaf)?;
    }
    Ok(())
}

fn add(tree: &mut Tree, name: &str, leaf: Leaf) -> Result<(), Failure> {
    let mut at = tree;
    for segment in name.split('.') {
        if let Some(above) = at.leaf.as_ref().filter(|above| is_scalar(&above.kind)) {
            let (above, file) = (&above.file, &leaf.file);
            return Err(
                format!("{file}: {name} is inside a field that {above} has as a value").into()
            );
        }
        at = at.children.entry(segment.to_owned()).or_default();
    }
    match &at.leaf {
        Some(known) if known.kind != leaf.kind || known.array != leaf.array => Err(format!(
            "{name} is {} in {} and {} in {}",
            known.kind, known.file, leaf.kind, leaf.file
        )
        .into()),
        None if is_scalar(&leaf.kind) && !at.children.is_empty() => {
            Err(format!("{}: {name} is an object elsewhere", leaf.file).into())
        }
        _ => {
            at.leaf.get_or_insert(leaf);
            Ok(())
        }
    }
}

/// Where an object is.
#[derive(Default)]
struct Place {
    path: String,
    /// What opens it, from the root on, without the root's own brace: `"a":{"b":{`
    opening: String,
    parent: usize,
    depth: usize,
}

/// Bytes of keys that are copied at once; so many follow the last.
const KEY_BLOCK: usize = 32;

#[derive(Default)]
struct Made {
    constants: String,
    /// The keys of all leaves, one behind the other.
    keys: String,
    leaves: Vec<String>,
    leaves_count: usize,
    nodes: Vec<String>,
}

impl Made {
    /// Writes the fields below one object, depth first, so that its leaves have adjacent numbers.
    fn node(&mut self, tree: &Tree, place: &Place) {
        let number = self.nodes.len();
        let Place { path, opening, parent, depth } = place;
        self.nodes.push(String::new());
        if tree.children.values().any(|child| child.leaf.is_some()) {
            self.constants.push_str("use crate::Field;\n");
        }
        for (name, child) in &tree.children {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let id = self.leaves_count;
            if let Some(leaf) = &child.leaf {
                let _ = writeln!(
                    self.constants,
                    "/// `{path}` ({}).\npub const {}: Field = Field::new({id});",
                    leaf.kind,
                    constant(name)
                );
                self.leaves_count += 1;
                self.leaves.push(String::new());
            }
            if !child.children.is_empty() {
                let _ = writeln!(self.constants, "/// `{path}.*`\npub mod {} {{", module(name));
                let opening = format!("{opening}{name:?}:{{");
                self.node(
                    child,
                    &Place { path: path.clone(), opening, parent: number, depth: depth + 1 },
                );
                self.constants.push_str("}\n");
            }
            if let Some(leaf) = &child.leaf {
                let end = self.leaves_count;
                let (from, key) = (self.keys.len(), opening.len());
                let _ = write!(self.keys, "{opening}{name:?}:");
                let length = self.keys.len() - from;
                self.leaves[id] = format!(
                    "Leaf {{ keys: {from}, length: {length}, key: {key}, node: {number}, end: {end}, \
                     array: {}, kind: {:?}, removed: \"null_removed:{path}\" }}",
                    leaf.array, leaf.kind
                );
            }
        }
        let (opened, end) = (opening.len(), self.leaves_count);
        self.nodes[number] =
            format!("Node {{ parent: {parent}, depth: {depth}, opened: {opened}, end: {end} }}");
    }

    fn tables(&self, multi: &[(String, String)]) -> String {
        let mut text = String::new();
        let mut table = |name: &str, kind: &str, rows: &[String]| {
            let _ = writeln!(text, "pub(crate) static {name}: [{kind}; {}] = [", rows.len());
            rows.iter().for_each(|row| text.push_str(&format!("{row},\n")));
            text.push_str("];\n");
        };
        table("LEAVES", "Leaf", &self.leaves);
        table("NODES", "Node", &self.nodes);
        let rows: Vec<String> = multi.iter().map(|row| format!("{row:?}")).collect();
        table("MULTI_FIELDS_OF_ECS", "(&str, &str)", &rows);
        let padded = format!("{}{}", self.keys, " ".repeat(KEY_BLOCK));
        let _ = writeln!(text, "pub(crate) const KEY_BLOCK: usize = {KEY_BLOCK};");
        let _ = writeln!(text, "pub(crate) static KEYS: [u8; {}] = *b{padded:?};", padded.len());
        text
    }
}

fn constant(segment: &str) -> String {
    let name: String = segment
        .chars()
        .filter(|c| *c != '@')
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn module(segment: &str) -> String {
    const KEYWORDS: &[&str] = &[
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do",
        "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in",
        "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
        "return", "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe",
        "unsized", "use", "virtual", "where", "while", "yield",
    ];
    let name = constant(segment).to_ascii_lowercase();
    match name.as_str() {
        "self" | "super" | "crate" => format!("{name}_"),
        _ if KEYWORDS.contains(&name.as_str()) => format!("r#{name}"),
        _ => name,
    }
}
