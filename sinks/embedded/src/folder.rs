//! The folder of a store: `tahoe-store.json` says which format it has, `index/` is the index.
//!
//! The format's file is written before the index is, so an index without one is not ours.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tahoe_seams::SinkError;
use tantivy::directory::MmapDirectory;
use tantivy::directory::error::LockError;
use tantivy::schema::Schema;
use tantivy::{Index, TantivyError};

use crate::fields::register_words;

/// Grows by one with every change of the schema or of how values are indexed.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Format {
    format: u32,
}

/// Opens the index in `folder`, creating both if they are not there.
pub(crate) fn open_or_create(folder: &Path, schema: Schema) -> Result<Index, SinkError> {
    let index = index_folder(folder);
    fs::create_dir_all(&index).map_err(|error| unusable(folder, error))?;
    if !check_format(folder)? {
        if index.join("meta.json").exists() {
            return Err(refused(folder, "holds an index that tahoe did not make"));
        }
        write_format(folder).map_err(|error| unusable(folder, error))?;
    }
    let directory = MmapDirectory::open(&index).map_err(|error| unusable(folder, error))?;
    let index = Index::open_or_create(directory, schema).map_err(|error| opening(folder, error))?;
    register_words(&index);
    Ok(index)
}

/// Opens the index in `folder`, which has to be there.
pub(crate) fn open(folder: &Path, schema: &Schema) -> Result<Index, SinkError> {
    if !check_format(folder)? || !index_folder(folder).join("meta.json").exists() {
        let reason = "holds no store: start `tahoe up` first, or name its folder by";
        return Err(SinkError::Refused(format!("{} {reason} --data", folder.display()), None));
    }
    let index = Index::open_in_dir(index_folder(folder)).map_err(|error| opening(folder, error))?;
    if index.schema() != *schema {
        return Err(refused(folder, "holds a store with other fields"));
    }
    register_words(&index);
    Ok(index)
}

fn index_folder(folder: &Path) -> PathBuf {
    folder.join("index")
}

fn format_file(folder: &Path) -> PathBuf {
    folder.join("tahoe-store.json")
}

/// Whether the folder has a format, and one that this version understands.
fn check_format(folder: &Path) -> Result<bool, SinkError> {
    let bytes = match fs::read(format_file(folder)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unusable(folder, error)),
    };
    match serde_json::from_slice::<Format>(&bytes) {
        Ok(Format { format: FORMAT }) => Ok(true),
        Ok(Format { format }) => Err(refused(
            folder,
            &format!("has format {format} and this version of tahoe knows {FORMAT}"),
        )),
        Err(_) => Err(refused(folder, "has an unreadable tahoe-store.json")),
    }
}

/// Whole or not at all, whenever the machine stops.
fn write_format(folder: &Path) -> std::io::Result<()> {
    let draft = folder.join("tahoe-store.json.new");
    let mut file = File::create(&draft)?;
    serde_json::to_writer(&file, &Format { format: FORMAT })?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&draft, format_file(folder))?;
    File::open(folder)?.sync_all()
}

fn refused(folder: &Path, reason: &str) -> SinkError {
    let advice = "use the version that made it, or another folder by --data";
    SinkError::Refused(format!("{} {reason}: {advice}", folder.display()), None)
}

/// The failure of an index, which is said in its own words unless no lock could be made: whoever
/// opens an index makes one, for searching too.
pub(crate) fn failed(folder: &Path, error: TantivyError, own_words: String) -> SinkError {
    let TantivyError::LockFailure(LockError::IoError(error), _) = error else {
        return SinkError::Unavailable(own_words, Some(Box::new(error)));
    };
    let folder = folder.display();
    let text = format!(
        "no lock can be made in {folder}: {error}: let this user write there, or name another \
         folder by --data"
    );
    SinkError::Unavailable(text, Some(Box::new(error)))
}

fn unusable(folder: &Path, error: impl std::error::Error + Send + Sync + 'static) -> SinkError {
    let text = format!("cannot use the folder {}: {error}; --data names another", folder.display());
    SinkError::Refused(text, Some(Box::new(error)))
}

fn opening(folder: &Path, error: TantivyError) -> SinkError {
    match error {
        TantivyError::SchemaError(_) => refused(folder, "holds a store with other fields"),
        error => unusable(folder, error),
    }
}
