//! Reads `dashboards/*.yaml` and every dataset's `dashboard.yaml`, and puts them together; and
//! `alerts.yaml`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::alert::Alert;
use crate::dashboard::{Dashboard, Kind, Measure, Panel, Section};

use crate::declaration::parsed;
use crate::{Failure, Leaf, Tree, read};

const FOLDER: &str = "dashboards";
const ALERTS: &str = "alerts.yaml";

/// Types that Elasticsearch counts by.
const COUNTED: &[&str] = &[
    "boolean",
    "constant_keyword",
    "date",
    "double",
    "float",
    "geo_point",
    "integer",
    "ip",
    "keyword",
    "long",
    "scaled_float",
    "wildcard",
];

/// All dashboards as JSON, in their order. `datasets` are the folders of all datasets, by name.
pub fn composed(root: &Path, datasets: &[String], tree: &Tree) -> Result<String, Failure> {
    let mut boards = Vec::new();
    println!("cargo:rerun-if-changed={}", root.join(FOLDER).display());
    for file in fs::read_dir(root.join(FOLDER))? {
        let path = file?.path();
        let name = path.strip_prefix(root)?.display().to_string();
        let board: Dashboard = parsed(&name, &read(&path)?)?;
        if path.file_stem().is_none_or(|stem| *stem != *board.name) {
            return Err(format!("{name}: name {:?} is not the file's", board.name).into());
        }
        boards.push(board);
    }
    boards.sort_by_key(|board| board.place);
    for dataset in datasets {
        let file = format!("{}/dashboard.yaml", dataset.replace('.', "/"));
        let path = root.join(&file);
        if !path.is_file() {
            continue;
        }
        let mut section: Section = parsed(&file, &read(&path)?)?;
        if section.query.is_empty() {
            section.query = format!("event.dataset:{dataset}");
        }
        let board = boards.iter_mut().find(|board| board.name == section.on);
        let board = board.ok_or_else(|| format!("{file}: no dashboard {:?}", section.on))?;
        board.sections.push(section);
    }
    for board in &mut boards {
        board.sections.sort_by_key(|section| section.place);
        check(board, tree).map_err(|error| format!("dashboard {}: {error}", board.name))?;
    }
    Ok(serde_json::to_string(&boards)?)
}

/// All alerts as JSON.
pub fn alerts(root: &Path, tree: &Tree) -> Result<String, Failure> {
    let all: Vec<Alert> = parsed(ALERTS, &read(&root.join(ALERTS))?)?;
    let mut names = BTreeSet::new();
    for alert in &all {
        let fail = |error: &str| format!("{ALERTS}: {}: {error}", alert.name);
        if !names.insert(&alert.name) {
            return Err(fail("another has this name").into());
        }
        if alert.above.is_some() == alert.below.is_some() {
            return Err(fail("it has one of above and below").into());
        }
        // What Kibana's rules aggregate by.
        let value = &alert.value;
        match value.of {
            Measure::Count if value.field.is_empty() => {}
            Measure::Average | Measure::Sum | Measure::Max if !value.field.is_empty() => {}
            _ => {
                let error = "its value is a count, or the average, sum or max of a field";
                return Err(fail(error).into());
            }
        }
        for field in [&alert.by, &value.field].into_iter().filter(|field| !field.is_empty()) {
            is_counted(field, tree).map_err(|error| fail(&error))?;
        }
    }
    Ok(serde_json::to_string(&all)?)
}

fn check(board: &Dashboard, tree: &Tree) -> Result<(), String> {
    let mut titles = BTreeSet::new();
    for control in &board.controls {
        is_counted(&control.field, tree)?;
    }
    for (_, panel) in board.panels() {
        let fail = |error: String| format!("{}: {error}", panel.title);
        if !titles.insert(&panel.title) {
            return Err(fail("another panel has this title".to_owned()));
        }
        has_form(panel).map_err(|error| fail(error.to_owned()))?;
        panel.counted_fields().try_for_each(|field| is_counted(field, tree)).map_err(fail)?;
        let unknown = panel.columns.iter().find(|column| leaf(column, tree).is_none());
        if let Some(column) = unknown {
            return Err(fail(format!("no dataset declares {column}")));
        }
    }
    Ok(())
}

/// It has what its kind is drawn from.
fn has_form(panel: &Panel) -> Result<(), &'static str> {
    let (by, values) = (panel.by.len(), panel.values.len());
    let fits = match panel.kind {
        Kind::Number => by <= 1 && values == 1,
        Kind::Lines | Kind::Area | Kind::Bars | Kind::Ranks => {
            by == 1 && values >= 1 || by == 2 && values == 1
        }
        Kind::Share | Kind::Map => by == 1 && values == 1,
        Kind::Table => by >= 1 && values >= 1,
        Kind::Documents => by == 0 && values == 0 && !panel.columns.is_empty(),
    };
    let field_missing =
        panel.values.iter().any(|value| (value.of == Measure::Count) != value.field.is_empty());
    match (fits, field_missing) {
        (true, false) => Ok(()),
        (false, _) => Err("its kind is drawn from other numbers of by and values"),
        (true, true) => Err("a count has no field, and every other value has one"),
    }
}

fn is_counted(field: &str, tree: &Tree) -> Result<(), String> {
    let leaf = leaf(field, tree).ok_or_else(|| format!("no dataset declares {field}"))?;
    match COUNTED.contains(&leaf.kind.as_str()) {
        true => Ok(()),
        false => Err(format!("{field} is {}: nothing can be counted by it", leaf.kind)),
    }
}

fn leaf<'t>(field: &str, tree: &'t Tree) -> Option<&'t Leaf> {
    let below = |at: &'t Tree, name: &str| at.children.get(name);
    field.split('.').try_fold(tree, below)?.leaf.as_ref()
}
