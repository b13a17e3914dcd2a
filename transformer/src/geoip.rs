//! The databases of networks are files that an operator replaces while the process runs.
//!
//! They are in memory, since a file that is written over under its reader's eyes would be read
//! torn. Each is one of [`Renewed`], so that one which is damaged keeps no other from being taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tahoe_pipeline::renewed::Renewed;
use tahoe_schemas::enrich::{Database, Networks};

/// The files of an operator, and what was read from them last.
#[derive(Debug)]
pub struct GeoFiles(Vec<Arc<Renewed<Database>>>);

impl GeoFiles {
    /// Reads all of them.
    ///
    /// # Errors
    /// One cannot be read or is damaged; names it and the setting.
    pub fn open(paths: &[PathBuf]) -> Result<Arc<Self>, String> {
        let open = |path: &PathBuf| {
            let file = path.clone();
            Renewed::open("--geoip", vec![path.clone()], Box::new(move || read(&file)))
        };
        let files = paths.iter().map(open).collect::<Result<_, String>>()?;
        Ok(Arc::new(Self(files)))
    }

    /// Grows whenever [`GeoFiles::networks`] gives others.
    pub fn version(&self) -> u64 {
        self.0.iter().map(|file| file.version()).sum()
    }

    /// What is asked now.
    pub fn networks(&self) -> Networks {
        Networks::new(self.0.iter().map(|file| file.now()))
    }

    /// Looks once whether a file is another now, and takes it if it is sound.
    pub fn look(&self) {
        self.0.iter().for_each(|file| file.look());
    }

    /// Looks again and again, for as long as somebody has `self`.
    pub fn watch(&self) {
        self.0.iter().for_each(Renewed::watch);
    }
}

fn read(path: &Path) -> Result<Database, String> {
    let file = path.display();
    let bytes = std::fs::read(path).map_err(|error| error.to_string());
    let database = bytes.and_then(Database::read);
    let database = database.map_err(|error| format!("--geoip {file}: {error}"))?;
    let (kind, built_s, bytes) = (database.kind(), database.built_s(), database.bytes());
    tracing::info!(%file, kind, built_s, bytes, "database of networks read");
    Ok(database)
}
