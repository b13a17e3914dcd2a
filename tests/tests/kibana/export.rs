//! What was exported, read back as Kibana reads it: texts of JSON inside of JSON.

use serde_json::{Map, Value};
use tahoe_tests::program::run;

/// The saved objects of a space.
pub fn objects(space: &str) -> Vec<Value> {
    let ended = run("tahoe", &["kibana", "export", "--space", space]);
    assert!(ended.status.success(), "{}", ended.stderr);
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// A dashboard.
pub struct Board {
    pub id: String,
    pub attributes: Value,
    pub references: Vec<Reference>,
    pub panels: Vec<Value>,
}

/// What a saved object names another by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    pub name: String,
    pub kind: String,
    pub id: String,
}

/// A panel that Lens draws.
pub struct Lens<'a> {
    /// Dashboard and panel, for messages.
    pub name: String,
    pub index: &'a str,
    pub attributes: &'a Value,
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The JSON in a text.
pub fn inside(value: &Value) -> Value {
    serde_json::from_str(text(value)).unwrap_or_else(|error| panic!("{error}: {value}"))
}

pub fn references(object: &Value) -> Vec<Reference> {
    let of = |value: &Value| Reference {
        name: text(&value["name"]).to_owned(),
        kind: text(&value["type"]).to_owned(),
        id: text(&value["id"]).to_owned(),
    };
    object["references"].as_array().expect("a list").iter().map(of).collect()
}

pub fn map(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}"))
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn boards(objects: &[Value]) -> Vec<Board> {
    let boards = objects.iter().filter(|object| object["type"] == "dashboard");
    let board = |object: &Value| Board {
        id: text(&object["id"]).to_owned(),
        attributes: object["attributes"].clone(),
        references: references(object),
        panels: list(&inside(&object["attributes"]["panelsJSON"])).to_vec(),
    };
    boards.map(board).collect()
}

impl Board {
    pub fn lenses(&self) -> impl Iterator<Item = Lens<'_>> {
        let lenses = self.panels.iter().filter(|panel| panel["type"] == "lens");
        lenses.map(|panel| Lens {
            name: format!("{}: {}", self.id, text(&panel["title"])),
            index: text(&panel["panelIndex"]),
            attributes: &panel["embeddableConfig"]["attributes"],
        })
    }

    /// Id and `explicitInput` of its controls.
    pub fn controls(&self) -> Vec<(String, Value)> {
        let controls = inside(&self.attributes["controlGroupInput"]["panelsJSON"]);
        let input =
            |(id, control): (&String, &Value)| (id.clone(), control["explicitInput"].clone());
        map(&controls).iter().map(input).collect()
    }

    pub fn reference(&self, name: &str) -> &Reference {
        let found = self.references.iter().find(|reference| reference.name == name);
        found.unwrap_or_else(|| panic!("{} refers to no {name}", self.id))
    }
}

impl Lens<'_> {
    /// Id and state of each layer.
    pub fn layers(&self) -> &Map<String, Value> {
        map(&self.attributes["state"]["datasourceStates"]["formBased"]["layers"])
    }

    pub fn drawn(&self) -> &Value {
        &self.attributes["state"]["visualization"]
    }
}

/// The pattern of the data streams that a data view shows.
pub fn pattern(objects: &[Value], id: &str) -> String {
    let view =
        objects.iter().find(|object| object["type"] == "index-pattern" && object["id"] == id);
    let view = view.unwrap_or_else(|| panic!("no data view {id}"));
    text(&view["attributes"]["title"]).to_owned()
}
