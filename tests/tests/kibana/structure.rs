//! Saved objects by the rules of Kibana 8.19: `dashboard_saved_object/schema/v2` for a dashboard, the
//! reference names of `dashboard_saved_object/…/references` and of Lens, its form-based layers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tahoe_tests::program::repository;

use super::export::{Board, Lens, Reference, boards, inside, list, map, objects, references, text};

/// What the names of dashboards end with.
const BOARDS: [&str; 9] = [
    "company",
    "hosts",
    "laravel",
    "load-balancer",
    "mongodb",
    "mysql",
    "overview",
    "pipeline",
    "postgresql",
];

/// Every attribute that a dashboard may have; its schema forbids others.
const ATTRIBUTES: [&str; 13] = [
    "controlGroupInput",
    "description",
    "hits",
    "kibanaSavedObjectMeta",
    "optionsJSON",
    "panelsJSON",
    "refreshInterval",
    "timeFrom",
    "timeRestore",
    "timeTo",
    "title",
    "version",
    "sections",
];

/// The version that a type's objects are migrated to no further than, by Kibana 8.19.
const VERSIONS: [(&str, &str); 3] =
    [("dashboard", "10.2.0"), ("index-pattern", "8.0.0"), ("search", "8.0.0")];

#[test]
fn ids_are_readable_unique_and_the_same_every_time() {
    let all = objects("default");
    assert_eq!(all, objects("default"));
    let ids: BTreeSet<_> = all
        .iter()
        .map(|object| (&object["type"], text(&object["id"])))
        .map(|(kind, id)| {
            assert!(id.starts_with("tahoe-"), "{id} is not ours: an import would overwrite it");
            (text(kind).to_owned(), id.to_owned())
        })
        .collect();
    assert_eq!(ids.len(), all.len());
    let named: BTreeSet<_> = boards(&all).into_iter().map(|board| board.id).collect();
    assert_eq!(named, BOARDS.map(|name| format!("tahoe-{name}")).into());
    for object in &all {
        let (_, version) = VERSIONS.iter().find(|(kind, _)| object["type"] == **kind).expect("one");
        assert_eq!(
            (&object["typeMigrationVersion"], &object["managed"]),
            (&Value::from(*version), &true.into())
        );
        assert_eq!(object["coreMigrationVersion"], "8.8.0");
    }
}

#[test]
fn a_space_has_ids_of_its_own_that_hang_together() {
    let (here, there) = (objects("default"), objects("acme"));
    let ids = |all: &[Value]| -> BTreeSet<String> {
        all.iter().map(|object| text(&object["id"]).to_owned()).collect()
    };
    assert_eq!(ids(&here).intersection(&ids(&there)).count(), 0);
    assert!(ids(&there).iter().all(|id| id.starts_with("tahoe-acme-")));
    each_reference_is_there(&there);
    links_lead_to_dashboards(&there);
}

#[test]
fn each_reference_names_an_object_of_the_file_and_each_link_a_dashboard() {
    let all = objects("default");
    each_reference_is_there(&all);
    links_lead_to_dashboards(&all);
}

fn each_reference_is_there(all: &[Value]) {
    let there: BTreeSet<_> =
        all.iter().map(|object| (text(&object["type"]), text(&object["id"]))).collect();
    for object in all {
        let named = references(object);
        let names: BTreeSet<_> = named.iter().map(|reference| &reference.name).collect();
        assert_eq!(names.len(), named.len(), "{}: a name twice", object["id"]);
        for Reference { name, kind, id } in &named {
            assert!(there.contains(&(&**kind, &**id)), "{}: {name} is of no {id}", object["id"]);
        }
        if object["type"] == "search" {
            let source = inside(&object["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"]);
            assert!(names.contains(&text(&source["indexRefName"]).to_owned()));
        }
    }
}

fn links_lead_to_dashboards(all: &[Value]) {
    let boards = boards(all);
    let ids: BTreeSet<_> = boards.iter().map(|board| board.id.as_str()).collect();
    for board in &boards {
        let texts = board.panels.iter().filter(|panel| panel["type"] == "visualization");
        let texts: String = texts
            .map(|panel| {
                let vis = &panel["embeddableConfig"]["savedVis"];
                assert_eq!(vis["type"], "markdown");
                text(&vis["params"]["markdown"]).to_owned()
            })
            .collect();
        let links = texts.split("(#/view/").skip(1);
        let links: BTreeSet<_> =
            links.filter_map(|link| link.split_once(')')).map(|l| l.0).collect();
        let others: BTreeSet<_> = ids.iter().copied().filter(|id| *id != board.id).collect();
        assert_eq!(links, others, "{}", board.id);
    }
}

#[test]
fn a_dashboard_has_the_attributes_of_its_schema_and_its_own_time_refresh_and_controls() {
    for board in boards(&objects("default")) {
        let Board { id, attributes, .. } = &board;
        let unknown = map(attributes).keys().find(|name| !ATTRIBUTES.contains(&name.as_str()));
        assert_eq!(unknown, None, "{id}");
        assert_eq!(
            (&attributes["timeRestore"], text(&attributes["timeTo"])),
            (&true.into(), "now")
        );
        assert!(text(&attributes["timeFrom"]).starts_with("now-"), "{id}");
        let refresh = &attributes["refreshInterval"];
        assert_eq!(refresh["pause"], false);
        assert!(refresh["value"].as_u64().is_some_and(|ms| ms >= 5_000), "{id}: {refresh}");
        for options in
            [&attributes["optionsJSON"], &attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]]
        {
            assert!(inside(options).is_object());
        }
        let controls = board.controls();
        assert!(!controls.is_empty(), "{id}");
        for (control, input) in controls {
            assert_eq!(text(&input["id"]), control);
            let view = board.reference(&format!("controlGroup_{control}:optionsListDataView"));
            assert_eq!(view.kind, "index-pattern");
        }
    }
}

/// Columns of Kibana's grid.
const WIDTH: u64 = 48;

#[test]
fn panels_stand_inside_the_grid_and_not_on_each_other() {
    for board in boards(&objects("default")) {
        let mut taken = BTreeMap::new();
        let mut indices = BTreeSet::new();
        for panel in &board.panels {
            let index = text(&panel["panelIndex"]);
            assert!(indices.insert(index), "{}: {index} twice", board.id);
            let grid = &panel["gridData"];
            assert_eq!(text(&grid["i"]), index);
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|name| grid[name].as_u64().expect("a number"));
            assert!(w > 0 && h > 0 && x + w <= WIDTH, "{}: {index}: {grid}", board.id);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                let there = taken.insert(cell, index);
                assert_eq!(there, None, "{}: {index} at {cell:?}", board.id);
            }
        }
    }
}

/// `8.19` of the compose file's `${STACK_VERSION:-8.19.21}`.
fn pinned() -> String {
    let compose =
        std::fs::read_to_string(repository().join("docker-compose.yml")).expect("it is there");
    let (_, rest) =
        compose.split_once("/kibana/kibana:${STACK_VERSION:-").expect("Kibana is pinned");
    let (version, _) = rest.split_once('}').expect("it ends");
    version.rsplit_once('.').expect("three numbers").0.to_owned()
}

#[test]
fn every_panel_refers_to_what_it_needs_and_to_nothing_else() {
    let pinned = pinned();
    for board in boards(&objects("default")) {
        let mut needed = BTreeSet::new();
        for panel in &board.panels {
            assert!(text(&panel["version"]).starts_with(&pinned), "{}: not for {pinned}", board.id);
            if let Some(name) = panel["panelRefName"].as_str() {
                assert_eq!(panel["type"], "search");
                needed.insert(format!("{}:{name}", text(&panel["panelIndex"])));
            }
        }
        for lens in board.lenses() {
            let own: BTreeSet<_> =
                references(lens.attributes).into_iter().map(|reference| reference.name).collect();
            let wanted =
                lens.layers().keys().map(|id| format!("indexpattern-datasource-layer-{id}"));
            assert_eq!(own, wanted.clone().collect(), "{}", lens.name);
            needed.extend(wanted.map(|name| format!("{}:{name}", lens.index)));
        }
        let controls = board.controls().into_iter();
        needed.extend(controls.map(|(id, _)| format!("controlGroup_{id}:optionsListDataView")));
        let there = board.references.iter().map(|reference| reference.name.clone()).collect();
        assert_eq!(needed, there, "{}", board.id);
    }
}

#[test]
fn every_column_of_a_layer_is_drawn_and_every_drawn_column_is_one_of_its_layer() {
    for board in boards(&objects("default")) {
        for lens in board.lenses() {
            let state = &lens.attributes["state"];
            for part in ["query", "filters", "internalReferences", "adHocDataViews"] {
                assert!(state.get(part).is_some(), "{}: no {part}", lens.name);
            }
            for (id, layer) in lens.layers() {
                layer_is_sound(&lens, layer);
                let drawn = drawn_columns(&lens, id);
                let columns: BTreeSet<_> = map(&layer["columns"]).keys().cloned().collect();
                assert_eq!(drawn, columns, "{}: layer {id}", lens.name);
            }
        }
    }
}

fn layer_is_sound(lens: &Lens<'_>, layer: &Value) {
    let columns = map(&layer["columns"]);
    let order: Vec<_> = list(&layer["columnOrder"]).iter().map(text).collect();
    let ordered: BTreeSet<_> = order.iter().copied().collect();
    assert_eq!(ordered.len(), order.len(), "{}", lens.name);
    assert_eq!(ordered, columns.keys().map(String::as_str).collect(), "{}", lens.name);
    let bucketed: Vec<_> = order.iter().map(|id| columns[*id]["isBucketed"] == true).collect();
    assert!(bucketed.is_sorted_by(|a, b| a >= b), "{}: values before buckets", lens.name);
    for (id, column) in columns {
        for part in ["label", "dataType", "operationType", "scale"] {
            assert!(column[part].is_string(), "{}: {id} has no {part}", lens.name);
        }
        let operation = text(&column["operationType"]);
        assert_eq!(
            column["sourceField"].is_string(),
            !["filters", "static_value"].contains(&operation)
        );
        if let Some(by) = column["params"]["orderBy"]["columnId"].as_str() {
            assert_eq!(columns[by]["isBucketed"], false, "{}: {id} by {by}", lens.name);
        }
    }
}

/// The columns that a visualisation draws of a layer, by the names that each type has for them.
fn drawn_columns(lens: &Lens<'_>, layer: &str) -> BTreeSet<String> {
    let drawn = lens.drawn();
    let kind = text(&lens.attributes["visualizationType"]);
    let of = |value: &Value, names: &[&str]| -> BTreeSet<String> {
        assert!(value["layerType"].is_string(), "{}", lens.name);
        let found = names.iter().flat_map(|name| match &value[*name] {
            Value::String(id) => vec![id.clone()],
            Value::Array(ids) => ids.iter().map(|id| text(id).to_owned()).collect(),
            _ => Vec::new(),
        });
        found.collect()
    };
    let layers = |names: &[&str]| {
        let mut its = list(&drawn["layers"]).iter().filter(|one| one["layerId"] == layer);
        of(its.next().unwrap_or_else(|| panic!("{}: {layer} is not drawn", lens.name)), names)
    };
    match kind {
        "lnsXY" => layers(&["xAccessor", "accessors", "splitAccessor"]),
        "lnsPie" => layers(&["primaryGroups", "metrics"]),
        _ => {
            assert_eq!(text(&drawn["layerId"]), layer, "{}", lens.name);
            match kind {
                "lnsMetric" => of(drawn, &["metricAccessor", "breakdownByAccessor"]),
                "lnsChoropleth" => of(drawn, &["regionAccessor", "valueAccessor"]),
                "lnsDatatable" => list(&drawn["columns"])
                    .iter()
                    .map(|one| text(&one["columnId"]).to_owned())
                    .collect(),
                other => panic!("{}: {other} is no type that is known here", lens.name),
            }
        }
    }
}
