//! A panel as a visualisation of Lens: the layers of columns, and what is drawn of them.
//!
//! The forms are those that Kibana 8.19 keeps in a dashboard's `panelsJSON`
//! (`x-pack/platform/plugins/shared/lens`).

use serde_json::{Map, Value, json};
use tahoe_schemas::dashboard::{Data, Kind, Limits, Measure, Panel, Section};

use super::columns::{Columns, constants, query};

/// The layer with what is asked, and the one with limits.
const LAYER: &str = "data";
const LIMITS: &str = "limits";

const GREEN: &str = "#209280";
const YELLOW: &str = "#d6bf57";
const RED: &str = "#cc5642";

/// The data view of the data streams that are asked.
pub fn data_view(data: Data) -> &'static str {
    match data {
        Data::Logs => "tahoe-logs",
        Data::Metrics => "tahoe-metrics",
    }
}

/// Their names.
pub fn pattern(data: Data) -> &'static str {
    match data {
        Data::Logs => "logs-*",
        Data::Metrics => "metrics-*",
    }
}

/// The documents of a panel: those of its section that it asks for.
pub fn query_of(section: &Section, panel: &Panel) -> String {
    match (section.query.as_str(), panel.query.as_str()) {
        ("", own) => own.to_owned(),
        (all, "") => all.to_owned(),
        (all, own) => format!("({all}) AND ({own})"),
    }
}

/// The visualisation, as it stands in a panel by value.
pub fn attributes(section: &Section, panel: &Panel, view_id: &str) -> Value {
    let columns = Columns::of(panel, matches!(panel.kind, Kind::Lines | Kind::Area | Kind::Bars));
    let (kind, drawn) = drawn(panel, &columns);
    let mut layers = Map::from_iter([(LAYER.to_owned(), columns.layer())]);
    if let Some(limits) = panel.limits.filter(|_| panel.kind == Kind::Lines) {
        let values = [("warn", "Look at it", limits.warn), ("bad", "Act", limits.bad)];
        layers.insert(LIMITS.to_owned(), constants(&values));
    }
    let references: Vec<_> = layers.keys().map(|layer| reference(layer, view_id)).collect();
    json!({
        "title": "",
        "description": panel.description,
        "type": "lens",
        "visualizationType": kind,
        "references": references,
        "state": {
            "query": query(&query_of(section, panel)),
            "filters": [],
            "datasourceStates": {"formBased": {"layers": layers}},
            "visualization": drawn,
            "internalReferences": [],
            "adHocDataViews": {},
        },
    })
}

fn reference(layer: &str, view_id: &str) -> Value {
    let name = format!("indexpattern-datasource-layer-{layer}");
    json!({"type": "index-pattern", "id": view_id, "name": name})
}

fn drawn(panel: &Panel, columns: &Columns) -> (&'static str, Value) {
    match panel.kind {
        Kind::Number => ("lnsMetric", number(panel, columns)),
        Kind::Lines | Kind::Area | Kind::Bars | Kind::Ranks => ("lnsXY", chart(panel, columns)),
        Kind::Share => ("lnsPie", share(columns)),
        Kind::Map => ("lnsChoropleth", map(columns)),
        // Documents are no visualisation: they are drawn by a saved search.
        Kind::Table | Kind::Documents => ("lnsDatatable", table(panel, columns)),
    }
}

fn number(panel: &Panel, columns: &Columns) -> Value {
    let mut drawn = json!({
        "layerId": LAYER,
        "layerType": "data",
        "metricAccessor": columns.values[0],
    });
    if let Some(by) = columns.by.first() {
        drawn["breakdownByAccessor"] = json!(by);
        drawn["maxCols"] = json!(4);
    }
    if let Some(limits) = panel.limits {
        drawn["palette"] = palette(limits);
    }
    drawn
}

/// Green up to the first limit, yellow up to the second, red from there on.
fn palette(Limits { warn, bad }: Limits) -> Value {
    json!({
        "name": "custom",
        "type": "palette",
        "params": {
            "name": "custom",
            "steps": 3,
            "reverse": false,
            "progression": "fixed",
            "rangeType": "number",
            "rangeMin": 0,
            "rangeMax": null,
            "continuity": "above",
            // Where each colour begins, and where it ends.
            "colorStops": [
                {"color": GREEN, "stop": 0},
                {"color": YELLOW, "stop": warn},
                {"color": RED, "stop": bad},
            ],
            "stops": [
                {"color": GREEN, "stop": warn},
                {"color": YELLOW, "stop": bad},
                {"color": RED, "stop": bad + (bad - warn)},
            ],
        },
    })
}

fn chart(panel: &Panel, columns: &Columns) -> Value {
    let series = match panel.kind {
        Kind::Lines => "line",
        Kind::Area => "area_stacked",
        Kind::Ranks => "bar_horizontal",
        _ => "bar_stacked",
    };
    let mut data = json!({
        "layerId": LAYER,
        "layerType": "data",
        "seriesType": series,
        "xAccessor": columns.by[0],
        "accessors": columns.values,
        "position": "top",
        "showGridlines": false,
    });
    if let Some(split) = columns.by.get(1) {
        data["splitAccessor"] = json!(split);
    }
    let mut layers = vec![data];
    if panel.limits.is_some() && panel.kind == Kind::Lines {
        let line = |id, color| {
            json!({
                "forAccessor": id, "axisMode": "left", "color": color, "lineWidth": 1,
                "lineStyle": "dashed", "textVisibility": true, "fill": "none",
            })
        };
        layers.push(json!({
            "layerId": LIMITS,
            "layerType": "referenceLine",
            "accessors": ["warn", "bad"],
            "yConfig": [line("warn", YELLOW), line("bad", RED)],
        }));
    }
    let all = json!({"x": true, "yLeft": true, "yRight": true});
    json!({
        "layers": layers,
        "preferredSeriesType": series,
        "legend": {"isVisible": true, "position": "right"},
        "valueLabels": "hide",
        "fittingFunction": "None",
        "axisTitlesVisibilitySettings": {"x": false, "yLeft": true, "yRight": true},
        "gridlinesVisibilitySettings": all,
        "tickLabelsVisibilitySettings": all,
        "labelsOrientation": {"x": 0, "yLeft": 0, "yRight": 0},
    })
}

fn share(columns: &Columns) -> Value {
    json!({
        "shape": "donut",
        "layers": [{
            "layerId": LAYER,
            "layerType": "data",
            "primaryGroups": columns.by,
            "metrics": columns.values,
            "numberDisplay": "percent",
            "categoryDisplay": "default",
            "legendDisplay": "default",
            "nestedLegend": false,
        }],
    })
}

/// Countries are told by their two letters, in the layer of the world that Kibana takes from
/// Elastic's map service.
fn map(columns: &Columns) -> Value {
    json!({
        "layerId": LAYER,
        "layerType": "data",
        "emsLayerId": "world_countries",
        "emsField": "iso2",
        "regionAccessor": columns.by[0],
        "valueAccessor": columns.values[0],
    })
}

fn table(panel: &Panel, columns: &Columns) -> Value {
    let rows = columns.by.iter().map(|id| json!({"columnId": id, "isTransposed": false}));
    let values = columns
        .values
        .iter()
        .map(|id| json!({"columnId": id, "isTransposed": false, "isMetric": true}));
    let mut drawn = json!({
        "layerId": LAYER,
        "layerType": "data",
        "columns": rows.chain(values).collect::<Vec<_>>(),
        "rowHeight": "single",
        "rowHeightLines": 1,
        "paging": {"enabled": true, "size": 10},
    });
    let sorted = panel.values.iter().position(|value| value.of != Measure::Last);
    if let Some(id) = sorted.and_then(|index| columns.values.get(index)) {
        drawn["sorting"] = json!({"columnId": id, "direction": "desc"});
    }
    drawn
}
