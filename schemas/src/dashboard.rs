//! What the `dashboard.yaml` files say, as the build script read them: which questions a dashboard
//! answers, and not how a particular Kibana draws them. A field that no file declares, or that cannot
//! be counted by, fails the build.

use serde::{Deserialize, Serialize};

/// A dashboard: `dashboards/<name>.yaml`, and the sections that datasets add to it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// `mysql`; what is drawn from it has it in its id, for ever.
    pub name: String,
    /// Where it stands among the others.
    pub place: u8,
    /// For people.
    pub title: String,
    /// For people, in a sentence.
    pub description: String,
    /// The time that it shows unless asked otherwise: `24h`.
    pub last: String,
    /// Seconds after which it is drawn anew.
    pub refresh_seconds: u32,
    /// What can be chosen at its top.
    #[serde(default)]
    pub controls: Vec<Control>,
    /// What it shows, in this order.
    #[serde(default)]
    pub sections: Vec<Section>,
}

/// A list of a field's values to choose from.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Dotted path.
    pub field: String,
    /// For people.
    pub label: String,
    /// Documents that have the field.
    #[serde(default)]
    pub data: Data,
    /// One value at a time.
    #[serde(default)]
    pub single: bool,
}

/// Panels under a heading. A dataset's `dashboard.yaml` is one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// In a dataset's file: the dashboard that it belongs to.
    #[serde(default, skip_serializing)]
    pub on: String,
    /// In a dataset's file: where it stands among the sections of that dashboard.
    #[serde(default)]
    pub place: u8,
    /// Its heading.
    pub title: String,
    /// Markdown below the heading.
    #[serde(default)]
    pub text: String,
    /// Documents that all its panels are about; in a dataset's file those of the dataset, unless it
    /// says otherwise.
    #[serde(default)]
    pub query: String,
    /// What it shows, in this order.
    pub panels: Vec<Panel>,
}

/// One question, and the form of its answer.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// For people; no two of a dashboard have the same.
    pub title: String,
    /// For people, where the title does not say it all.
    #[serde(default)]
    pub description: String,
    /// How it is drawn.
    pub kind: Kind,
    /// Documents that are asked.
    #[serde(default)]
    pub data: Data,
    /// Which of them, in Lucene's syntax as `tahoe search` takes it; all, if it is empty.
    #[serde(default)]
    pub query: String,
    /// What is told apart, the outer first; in a chart its axis, and then its series.
    #[serde(default)]
    pub by: Vec<Bucket>,
    /// What is counted.
    #[serde(default)]
    pub values: Vec<Metric>,
    /// Fields of the documents that [`Kind::Documents`] lists.
    #[serde(default)]
    pub columns: Vec<String>,
    /// From where on a value calls for attention.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// Width (of 48) and height, if not those of its kind.
    #[serde(default)]
    pub size: Option<(u8, u8)>,
}

/// How an answer is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A number, or one for each value of `by`.
    Number,
    /// Lines over an axis.
    Lines,
    /// Areas on top of each other.
    Area,
    /// Bars on top of each other.
    Bars,
    /// Lying bars, the longest first.
    Ranks,
    /// Parts of a whole.
    Share,
    /// Rows and columns.
    Table,
    /// Countries of the world, by their two letters.
    Map,
    /// The documents themselves, newest first.
    Documents,
}

/// Which data streams are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// `logs-*`
    #[default]
    Logs,
    /// `metrics-*`
    Metrics,
}

/// What documents are told apart by.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Bucket {
    /// Steps of time, as long as suits the time that is shown.
    Time,
    /// The values of a field that have most.
    Top {
        /// Dotted path.
        field: String,
        /// For people.
        label: String,
        /// So many at most.
        #[serde(default = "top_values")]
        size: u16,
    },
    /// Groups of our own.
    Among {
        /// For people.
        label: String,
        /// The groups, by what they are called.
        each: Vec<Group>,
    },
}

fn top_values() -> u16 {
    10
}

/// Documents under a name.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// For people.
    pub label: String,
    /// Which they are.
    pub query: String,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// What is made of the field's values.
    pub of: Measure,
    /// Dotted path; none for [`Measure::Count`].
    #[serde(default)]
    pub field: String,
    /// For people.
    pub label: String,
    /// Of these documents only.
    #[serde(default)]
    pub query: String,
    /// How the number is written.
    #[serde(default)]
    pub format: Option<Format>,
}

/// What is made of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Documents.
    Count,
    /// Different values.
    Unique,
    /// Their mean.
    Average,
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// Half of them are below.
    P50,
    /// 95 of a hundred are below.
    P95,
    /// 99 of a hundred are below.
    P99,
    /// The newest.
    Last,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// KiB, MiB.
    Bytes,
    /// A ratio as per cent.
    Percent,
    /// With two decimals.
    Decimal,
}

/// From where on a value calls for attention.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Look at it.
    pub warn: f64,
    /// Do something.
    pub bad: f64,
}

impl Dashboard {
    /// Every panel with the section that it is in.
    pub fn panels(&self) -> impl Iterator<Item = (&Section, &Panel)> {
        self.sections
            .iter()
            .flat_map(|section| section.panels.iter().map(move |panel| (section, panel)))
    }
}

impl Panel {
    /// Fields that it counts by or counts, which must be fit for that.
    pub fn counted_fields(&self) -> impl Iterator<Item = &str> {
        let by = self.by.iter().filter_map(|bucket| match bucket {
            Bucket::Top { field, .. } => Some(field.as_str()),
            Bucket::Time | Bucket::Among { .. } => None,
        });
        let values = self.values.iter().map(|value| value.field.as_str());
        by.chain(values.filter(|field| !field.is_empty()))
    }
}
