//! How long events are kept: what their dataset declares, unless the operator says otherwise, for a
//! dataset, a company, or all.

use std::fmt;
use std::str::FromStr;

use crate::Dataset;
use crate::datasets;
use crate::declaration::RETENTION_DAYS;
use crate::rules::is_namespace;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// So many days at least.
    Days(u32),
    /// Until somebody deletes it.
    Forever,
}

/// `mysql.general=30`, `*-acme=365`, `laravel.log-acme=14`, `90`, `forever`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    dataset: Option<&'static str>,
    namespace: Option<String>,
    keep: Keep,
}

/// Rules, of which the first that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    rules: Vec<RetentionRule>,
}

impl Retention {
    /// Rules before what the datasets declare.
    pub fn new(rules: Vec<RetentionRule>) -> Self {
        Self { rules }
    }

    /// The same for all.
    pub fn of_all(keep: Keep) -> Self {
        Self::new(vec![RetentionRule { dataset: None, namespace: None, keep }])
    }

    /// How long a data stream's events are kept (`logs-mysql.row.shop.orders-acme`), or those of a
    /// template's (`logs-laravel.log-*`), for which only rules of all companies count. `None` of one
    /// that is no dataset's, and so not ours.
    pub fn of(&self, data_stream: &str) -> Option<Keep> {
        let (dataset, namespace) = parts(data_stream)?;
        Some(self.keep(Some(dataset?), namespace))
    }

    /// The same in a store where all is ours: a dataset that is not known is one that says nothing.
    pub fn of_ours(&self, data_stream: &str) -> Keep {
        let (dataset, namespace) = parts(data_stream).unwrap_or_default();
        self.keep(dataset, namespace)
    }

    fn keep(&self, dataset: Option<&Dataset>, namespace: &str) -> Keep {
        let fits = |rule: &&RetentionRule| {
            rule.dataset.is_none_or(|name| dataset.is_some_and(|dataset| name == dataset.name))
                && rule.namespace.as_deref().is_none_or(|name| name == namespace)
        };
        let declared = dataset.map_or(RETENTION_DAYS, |dataset| dataset.declared().retention_days);
        self.rules.iter().find(fits).map_or(Keep::Days(declared), |rule| rule.keep)
    }

    /// Some rule is of one company: templates, which all companies share, do not say it.
    pub fn differs_by_company(&self) -> bool {
        self.rules.iter().any(|rule| rule.namespace.is_some())
    }
}

/// The dataset of a data stream, if there is such, and its namespace.
fn parts(data_stream: &str) -> Option<(Option<&'static Dataset>, &str)> {
    let (rest, namespace) = data_stream.rsplit_once('-')?;
    let (_, name) = rest.split_once('-')?;
    Some((dataset_of(name), namespace))
}

/// The dataset of a data stream's middle part; of a table's own stream, that of all tables.
fn dataset_of(name: &str) -> Option<&'static Dataset> {
    datasets::find(name).or_else(|| {
        let (of_table, _) = name.match_indices('.').nth(1)?;
        datasets::find(&name[..of_table])
    })
}

impl FromStr for RetentionRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, keep) = text.rsplit_once('=').unwrap_or(("*", text));
        let keep = keep.trim().parse()?;
        let (dataset, namespace) = place.trim().split_once('-').unwrap_or((place.trim(), "*"));
        let dataset = match dataset {
            "*" => None,
            name => {
                let found =
                    datasets::find(name).ok_or_else(|| format!("{name}: no such dataset"))?;
                Some(found.name)
            }
        };
        let namespace = match namespace {
            "*" => None,
            name if is_namespace(name) => Some(name.to_owned()),
            name => return Err(format!("{name}: only a-z, 0-9, _ and . make a namespace")),
        };
        Ok(Self { dataset, namespace, keep })
    }
}

impl Keep {
    /// The days, unless it is for ever.
    pub fn days(self) -> Option<u32> {
        match self {
            Self::Days(days) => Some(days),
            Self::Forever => None,
        }
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let days = text.strip_suffix('d').unwrap_or(text).parse();
        match days {
            Ok(days @ 1..) => Ok(Self::Days(days)),
            _ => Err(format!("{text}: give whole days, at least 1, or forever")),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days}d"),
            Self::Forever => f.write_str("forever"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retention(rules: &[&str]) -> Retention {
        let rules = rules.iter().map(|rule| rule.parse().expect(rule));
        Retention::new(rules.collect())
    }

    #[test]
    fn a_dataset_that_says_nothing_is_kept_90_days_and_the_first_rule_that_fits_counts() {
        let declared = Retention::default();
        assert_eq!(declared.of("logs-laravel.log-acme"), Some(Keep::Days(90)));
        assert_eq!(declared.of("logs-mysql.audit-acme"), Some(Keep::Days(365)));
        let rules = retention(&["laravel.log-acme=14", "*-acme=forever", "mysql.row=30d", "60"]);
        for (stream, keep) in [
            ("logs-laravel.log-acme", Keep::Days(14)),
            ("logs-nginx.access-acme", Keep::Forever),
            ("logs-mysql.row-globex", Keep::Days(30)),
            ("logs-mysql.row.shop.orders-globex", Keep::Days(30)),
            ("logs-laravel.log-globex", Keep::Days(60)),
            ("logs-laravel.log-*", Keep::Days(60)),
            ("logs-mysql.row.*-*", Keep::Days(30)),
        ] {
            assert_eq!(rules.of(stream), Some(keep), "{stream}");
        }
        assert!(rules.differs_by_company() && !declared.differs_by_company());
    }

    #[test]
    fn a_data_stream_of_another_program_is_not_ours() {
        let all = Retention::of_all(Keep::Days(1));
        for stream in ["logs-endpoint.events-default", "logs-nobody.knows.it-x", "logs", "a-b"] {
            assert_eq!(all.of(stream), None, "{stream}");
        }
    }

    #[test]
    fn what_is_no_rule_says_why() {
        for (text, why) in [
            ("0", "at least 1"),
            ("laravel.log=soon", "whole days"),
            ("no.such=1", "no such dataset"),
            ("laravel.log-a-b=1", "a-b: only a-z"),
            ("=1", "no such dataset"),
        ] {
            let error = text.parse::<RetentionRule>().expect_err(text);
            assert!(error.contains(why), "{error}");
        }
    }
}
