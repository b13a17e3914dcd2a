//! The dataset that a command was given, how its files are cut, and the company.

use anyhow::anyhow;
use tahoe_schemas::rules::is_namespace;
use tahoe_schemas::{Dataset, datasets};
use tahoe_seams::Framer;

/// A dataset with how its files are cut into records.
pub struct Framing {
    pub dataset: &'static Dataset,
    pub framer: &'static dyn Framer,
    /// With which each file begins.
    pub context: Vec<u8>,
}

/// The dataset of that name; `setting` is where it was named.
pub fn given(setting: &str, name: &str) -> anyhow::Result<&'static Dataset> {
    datasets::named(name).map_err(|error| anyhow!("{setting} {error}"))
}

/// What `--dataset` and `--line-prefix` say of files.
pub fn framing(name: &str, line_prefix: Option<&str>) -> anyhow::Result<Framing> {
    let dataset = given("--dataset", name)?;
    let (framer, context) = match line_prefix {
        None => (dataset.framer, Vec::new()),
        Some(prefix) => datasets::with_line_prefix(dataset, prefix)
            .map_err(|error| anyhow!("--line-prefix {prefix}: {error}"))?,
    };
    Ok(Framing { dataset, framer, context })
}

/// A client company that a command is given.
///
/// # Errors
/// What it may be made of.
pub fn namespace(text: &str) -> Result<String, String> {
    match is_namespace(text) {
        true => Ok(text.to_owned()),
        false => Err("only a-z, 0-9, _ and . make a namespace".to_owned()),
    }
}
