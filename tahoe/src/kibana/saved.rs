//! Dashboards as Kibana's saved objects, one JSON object a line, as its import takes them.
//!
//! The forms are those of Kibana 8.19, which later versions migrate: a dashboard of model version 2
//! (`dashboard_saved_object/schema/v2`), a data view and a saved search of 8.0. Every id is made of
//! names that are declared, so that an import finds what an earlier one made, and of nothing else: a
//! user's own copy has an id of its own and is never touched.

use serde_json::{Map, Value, json};
use tahoe_schemas::dashboard::{Dashboard, Data, Kind, Panel, Section};
use tahoe_schemas::{dashboards, fields};

use super::columns::query;
use super::grid::{Grid, Place, heading, size};
use super::lens;

/// What every object is of.
const CORE_VERSION: &str = "8.8.0";
const DASHBOARD_VERSION: &str = "10.2.0";
const OTHERS_VERSION: &str = "8.0.0";

/// Version that panels are written for: that of `docker-compose.yml`, without its last number.
const PANEL_VERSION: &str = "8.19.0";

/// The space that every Kibana has.
pub const DEFAULT_SPACE: &str = "default";

/// Ids in one space. An object belongs to one space and ids are unique in all of them, so those of
/// another space have its name in them.
#[derive(Clone, Copy)]
pub struct Ids<'a> {
    space: &'a str,
}

impl<'a> Ids<'a> {
    /// Those of a space.
    pub fn of(space: &'a str) -> Self {
        Self { space }
    }

    /// `tahoe-mysql`, or `tahoe-acme-mysql` in the space acme.
    fn id(self, name: &str) -> String {
        let name = name.strip_prefix("tahoe-").unwrap_or(name);
        match self.space {
            DEFAULT_SPACE => format!("tahoe-{}", slug(name)),
            space => format!("tahoe-{space}-{}", slug(name)),
        }
    }

    fn view(self, data: Data) -> String {
        self.id(lens::data_view(data))
    }
}

/// Every object of a space: data views, saved searches, dashboards.
pub fn objects(space: &str) -> Vec<Value> {
    let ids = Ids::of(space);
    let boards = dashboards();
    let mut all = vec![data_view(ids, Data::Logs), data_view(ids, Data::Metrics)];
    for board in &boards {
        let listed = board.panels().filter(|(_, panel)| panel.kind == Kind::Documents);
        all.extend(listed.map(|(section, panel)| saved_search(ids, board, section, panel)));
    }
    all.extend(boards.iter().map(|board| Drawing::new(ids, board, &boards).finish()));
    all
}

fn object(kind: &str, id: &str, version: &str, attributes: Value, references: Vec<Value>) -> Value {
    json!({
        "type": kind,
        "id": id,
        // Kibana then offers to duplicate it instead of changing what the next import overwrites.
        "managed": true,
        "coreMigrationVersion": CORE_VERSION,
        "typeMigrationVersion": version,
        "attributes": attributes,
        "references": references,
    })
}

fn data_view(ids: Ids<'_>, data: Data) -> Value {
    let pattern = lens::pattern(data);
    // Durations are nanoseconds, in ECS as in every dataset.
    let formats = json!({"event.duration": {"id": "duration", "params": {
        "inputFormat": "nanoseconds",
        "outputFormat": "humanizePrecise",
        "outputPrecision": 1,
        "includeSpaceWithSuffix": true,
        "useShortSuffix": true,
    }}});
    let attributes = json!({
        "title": pattern,
        "name": format!("Tahoe {}", pattern.trim_end_matches("-*")),
        "timeFieldName": fields::TIMESTAMP.path(),
        "allowNoIndex": true,
        "fields": "[]",
        "fieldAttrs": "{}",
        "fieldFormatMap": formats.to_string(),
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
        "typeMeta": "{}",
    });
    object("index-pattern", &ids.view(data), OTHERS_VERSION, attributes, Vec::new())
}

fn saved_search(ids: Ids<'_>, board: &Dashboard, section: &Section, panel: &Panel) -> Value {
    let index = "kibanaSavedObjectMeta.searchSourceJSON.index";
    let source = json!({
        "query": query(&lens::query_of(section, panel)),
        "filter": [],
        "highlightAll": true,
        "version": true,
        "indexRefName": index,
    });
    let attributes = json!({
        "title": format!("{}: {}", title(board), panel.title),
        "description": panel.description,
        "columns": panel.columns,
        "sort": [[fields::TIMESTAMP.path(), "desc"]],
        "grid": {},
        "hideChart": true,
        "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
    });
    let view = json!({"type": "index-pattern", "id": ids.view(panel.data), "name": index});
    object("search", &search_id(ids, board, panel), OTHERS_VERSION, attributes, vec![view])
}

fn search_id(ids: Ids<'_>, board: &Dashboard, panel: &Panel) -> String {
    ids.id(&format!("{} {}", board.name, panel.title))
}

fn title(board: &Dashboard) -> String {
    format!("[Tahoe] {}", board.title)
}

/// A dashboard that is being drawn.
struct Drawing<'a> {
    ids: Ids<'a>,
    board: &'a Dashboard,
    all: &'a [Dashboard],
    grid: Grid,
    panels: Vec<Value>,
    references: Vec<Value>,
}

impl<'a> Drawing<'a> {
    fn new(ids: Ids<'a>, board: &'a Dashboard, all: &'a [Dashboard]) -> Self {
        let (grid, panels, references) = (Grid::default(), Vec::new(), Vec::new());
        Self { ids, board, all, grid, panels, references }
    }

    fn finish(mut self) -> Value {
        for (number, section) in self.board.sections.iter().enumerate() {
            self.heading(number, section);
            section.panels.iter().for_each(|panel| self.panel(section, panel));
            self.grid.end_row();
        }
        let controls = self.controls();
        let board = self.board;
        let options = json!({
            "useMargins": true,
            "syncColors": true,
            "syncCursor": true,
            "syncTooltips": false,
            "hidePanelTitles": false,
        });
        let searched = json!({"query": {"query": "", "language": "kuery"}, "filter": []});
        let attributes = json!({
            "title": title(board),
            "description": board.description,
            "panelsJSON": Value::from(self.panels).to_string(),
            "optionsJSON": options.to_string(),
            "controlGroupInput": controls,
            "timeRestore": true,
            "timeFrom": format!("now-{}", board.last),
            "timeTo": "now",
            "refreshInterval": {"pause": false, "value": board.refresh_seconds * 1000},
            "kibanaSavedObjectMeta": {"searchSourceJSON": searched.to_string()},
        });
        let id = self.ids.id(&board.name);
        object("dashboard", &id, DASHBOARD_VERSION, attributes, self.references)
    }

    /// The first heading leads to the other dashboards, too.
    fn heading(&mut self, number: usize, section: &Section) {
        let mut text = format!("### {}", section.title);
        let mut lines = 0;
        if !section.text.is_empty() {
            text.push_str(&format!("\n\n{}", section.text));
            lines += 2;
        }
        if number == 0 {
            let others = self.all.iter().map(|board| match board.name == self.board.name {
                true => format!("**{}**", board.title),
                // Within Kibana's own page, whatever its address and space.
                false => format!("[{}](#/view/{})", board.title, self.ids.id(&board.name)),
            });
            text.push_str(&format!("\n\n{}", others.collect::<Vec<_>>().join(" · ")));
            lines += 2;
        }
        let vis = json!({
            "type": "markdown",
            "title": "",
            "description": "",
            "params": {"fontSize": 12, "openLinksInNewTab": false, "markdown": text},
            "uiState": {},
            "data": {"aggs": [], "searchSource": {"query": query(""), "filter": []}},
        });
        let index = format!("section-{}", slug(&section.title));
        let place = self.grid.next(heading(lines));
        let config = json!({"savedVis": vis, "hidePanelTitles": true, "enhancements": {}});
        self.add("visualization", &index, place, "", config);
    }

    fn panel(&mut self, section: &Section, panel: &Panel) {
        let index = slug(&panel.title);
        let place = self.grid.next(size(panel));
        if panel.kind == Kind::Documents {
            let named = format!("panel_{index}");
            self.add("search", &index, place, &panel.title, json!({"enhancements": {}}));
            if let Some(added) = self.panels.last_mut() {
                added["panelRefName"] = json!(named);
            }
            let id = search_id(self.ids, self.board, panel);
            self.refer("search", &id, &format!("{index}:{named}"));
            return;
        }
        let view = self.ids.view(panel.data);
        let attributes = lens::attributes(section, panel, &view);
        for reference in attributes["references"].as_array().into_iter().flatten() {
            if let Some(name) = reference["name"].as_str() {
                self.refer("index-pattern", &view, &format!("{index}:{name}"));
            }
        }
        let config = json!({"attributes": attributes, "enhancements": {}});
        self.add("lens", &index, place, &panel.title, config);
    }

    fn add(&mut self, kind: &str, index: &str, place: Place, title: &str, config: Value) {
        let Place { x, y, w, h } = place;
        self.panels.push(json!({
            "type": kind,
            "panelIndex": index,
            "gridData": {"x": x, "y": y, "w": w, "h": h, "i": index},
            "title": title,
            "version": PANEL_VERSION,
            "embeddableConfig": config,
        }));
    }

    fn refer(&mut self, kind: &str, id: &str, name: &str) {
        self.references.push(json!({"type": kind, "id": id, "name": name}));
    }

    fn controls(&mut self) -> Value {
        let mut panels = Map::new();
        for (order, control) in self.board.controls.iter().enumerate() {
            let id = slug(&control.label);
            let name = format!("controlGroup_{id}:optionsListDataView");
            self.refer("index-pattern", &self.ids.view(control.data), &name);
            let input = json!({
                "id": id,
                "fieldName": control.field,
                "title": control.label,
                "singleSelect": control.single,
                "selectedOptions": [],
                "enhancements": {},
            });
            panels.insert(
                id,
                json!({
                    "order": order,
                    "type": "optionsListControl",
                    "width": "medium",
                    "grow": true,
                    "explicitInput": input,
                }),
            );
        }
        let ignored = json!({
            "ignoreFilters": false,
            "ignoreQuery": false,
            "ignoreTimerange": false,
            "ignoreValidations": false,
        });
        json!({
            "controlStyle": "oneLine",
            "chainingSystem": "HIERARCHICAL",
            "showApplySelections": false,
            "panelsJSON": Value::from(panels).to_string(),
            "ignoreParentSettingsJSON": ignored.to_string(),
        })
    }
}

/// `State of every source` as `state-of-every-source`.
fn slug(text: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = text.chars().map(kept).collect();
    words.split_whitespace().collect::<Vec<_>>().join("-")
}
