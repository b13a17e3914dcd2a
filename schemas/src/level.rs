//! Levels of all vocabularies in one: trace, debug, info, notice, warning, error, critical, alert,
//! emergency, fatal. What a source called its level is kept where that was another word.

use crate::{Event, Transformation, fields};

/// What a level is called here. A word of no vocabulary, as PostgreSQL's `log` and MySQL's
/// `system`, is its own; `word` is in lower case.
pub(crate) fn named(word: &str) -> &str {
    match word {
        "trc" | "t" | "verbose" | "vrb" | "finest" | "finer" | "silly" => "trace",
        "dbg" | "d" | "fine" => "debug",
        "information" | "informational" | "inf" | "i" => "info",
        "note" => "notice",
        "warn" | "wrn" | "w" => "warning",
        "err" | "e" | "eror" | "severe" => "error",
        "crit" | "c" => "critical",
        "emerg" => "emergency",
        "ftl" | "f" | "panic" | "dpanic" => "fatal",
        word => word,
    }
}

/// The same of the words that nearly every record has, in the letters that it has them in.
pub(crate) fn usual(written: &str) -> Option<&'static str> {
    Some(match written {
        "INFO" | "info" => "info",
        "ERROR" | "error" => "error",
        "WARNING" | "warning" => "warning",
        "DEBUG" | "debug" => "debug",
        "NOTICE" | "notice" => "notice",
        _ => return None,
    })
}

/// Whether a level says that something failed.
pub(crate) fn is_failure(level: &str) -> bool {
    matches!(level, "error" | "critical" | "alert" | "emergency" | "fatal")
}

impl<'a> Event<'a> {
    /// Sets `log.level` to `level`, which the source wrote as `written`: recorded as
    /// `level_renamed:<written>` if it is another word, and not only in other letters.
    pub fn set_level(&mut self, written: &'a str, level: &'a str) {
        if !written.eq_ignore_ascii_case(level) {
            self.transformation_of(Transformation::LevelRenamed, written);
        }
        self.set(fields::log::LEVEL, level);
    }

    /// Sets `log.level` to what a word of any vocabulary is called here, and gives that.
    pub fn set_named_level(&mut self, written: &'a str) -> &'a str {
        if let Some(level) = usual(written) {
            self.set(fields::log::LEVEL, level);
            return level;
        }
        let level = named(self.lower_case(written));
        self.set_level(written, level);
        level
    }
}
