//! The closed vocabulary of `tahoe.transformations`: what is done to a record on its way into a
//! document is one of these, and this table is the only place that names them. What it says is what
//! `tahoe transformations` and docs/transformations.md print.

/// What one of the words means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explained {
    /// As it stands in `tahoe.transformations`, before the colon.
    pub word: &'static str,
    /// What stands behind the colon; empty if there is no colon.
    pub argument: &'static str,
    /// A sentence or two.
    pub meaning: &'static str,
    /// A whole value.
    pub example: &'static str,
}

macro_rules! vocabulary {
    ($($name:ident $word:literal $argument:literal $example:literal $meaning:literal;)*) => {
        /// One thing that was done to a record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Transformation {
            $(#[doc = $meaning] $name,)*
        }

        impl Transformation {
            /// All of them, by word.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What it means.
            pub const fn explained(self) -> Explained {
                match self {
                    $(Self::$name => Explained {
                        word: $word,
                        argument: $argument,
                        meaning: $meaning,
                        example: $example,
                    },)*
                }
            }
        }
    };
}

vocabulary! {
    AddressTruncated "address_truncated" "the field" "address_truncated:source.ip"
        "The privacy policy kept the network of an address alone.";
    DateAssumed "date_assumed" "previous_record or nearest" "date_assumed:previous_record"
        "The record gives a time of day alone, and the date is that of the record before it; or \
         its day and month could be exchanged (04/03/2026), and the date is the one that is \
         nearest before the moment of reading.";
    DateCorrected "date_corrected" "the date as written" "date_corrected:2026-02-30"
        "There is no such day in that month, and the nearest one that exists was taken.";
    Dropped "dropped" "the field" "dropped:url.query"
        "The privacy policy left the field out.";
    Encrypted "encrypted" "the field" "encrypted:db.after.iban"
        "The privacy policy put an encrypted value in its place, which `tahoe decrypt` reads.";
    Hashed "hashed" "the field" "hashed:user.email"
        "The privacy policy put a hash in its place: the same value has the same hash.";
    IncompleteRecord "incomplete_record" "" "incomplete_record"
        "The record broke off, or a part of it came too late or never; what there is was kept.";
    LevelAssumed "level_assumed" "the level" "level_assumed:info"
        "The format has no level, and log.level is the one that it implies.";
    LevelRenamed "level_renamed" "the level as written" "level_renamed:warn"
        "log.level has the word of the common vocabulary in place of the source's own.";
    Masked "masked" "the field" "masked:message"
        "The privacy policy hid the value, or what is private in the text.";
    NamespaceRefused "namespace_refused" "the namespace" "namespace_refused:acme"
        "The event belongs to a namespace that its topic may not write (--allow-namespace), and \
         went to the default one.";
    NullRemoved "null_removed" "the field" "null_removed:client.port"
        "The value stood for nothing (null, empty, -, NULL, N/A and the like) and the \
         field was left out.";
    PercentDecoded "percent_decoded" "" "percent_decoded"
        "Path or query of a URL were decoded from %HH; url.original has them as written.";
    Stringified "stringified" "the field" "stringified:app.fields"
        "The object was too deep or too wide for the store and was kept as one text.";
    TimeAssumed "time_assumed" "previous_record or read" "time_assumed:previous_record"
        "The record has no time; @timestamp is that of the record before it in its source, or else \
         the moment at which it was read.";
    TimezoneAssumed "timezone_assumed" "the zone" "timezone_assumed:Europe/Madrid"
        "The time names no zone and was taken to be in the one that the source was configured with.";
    Truncated "truncated" "the field" "truncated:user_agent.original"
        "A keyword was cut to the 8,191 characters that Elasticsearch indexes, or the text of the \
         record (message) goes on in the next part (tahoe.part).";
    Unescaped "unescaped" "" "unescaped"
        "Escapes of the format (\\xHH, \\n, a backslash before a quotation mark) were replaced by what they stand for.";
    Unindexed "unindexed" "the field" "unindexed:db.after"
        "A value inside the object is longer than Elasticsearch indexes: it is there, whole, and no \
         search finds it.";
    Utf8Repaired "utf8_repaired" "" "utf8_repaired"
        "Bytes that are no UTF-8 were each replaced by U+FFFD.";
    YearAssumed "year_assumed" "" "year_assumed"
        "The time has no year; the one was taken that puts it nearest before the moment of reading.";
}

impl Transformation {
    /// `null_removed`
    pub const fn word(self) -> &'static str {
        self.explained().word
    }

    /// The one that a value of `tahoe.transformations` begins with.
    pub fn of(value: &str) -> Option<Self> {
        let word = value.split_once(':').map_or(value, |(word, _)| word);
        Self::ALL.iter().copied().find(|one| one.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted_and_unique_and_their_examples_are_values_of_them() {
        let words: Vec<_> = Transformation::ALL.iter().map(|one| one.word()).collect();
        assert!(words.is_sorted_by(|one, next| one < next), "{words:?}");
        for &one in Transformation::ALL {
            let Explained { argument, example, meaning, .. } = one.explained();
            assert_eq!(Transformation::of(example), Some(one));
            assert_eq!(example.contains(':'), !argument.is_empty(), "{example}");
            assert!(meaning.ends_with('.'), "{meaning}");
        }
        assert_eq!(Transformation::of("invented"), None);
    }

    #[test]
    fn the_word_that_the_build_writes_before_every_path_is_one_of_them() {
        let removed = crate::fields::client::PORT.removed();
        assert_eq!(removed, Transformation::NullRemoved.explained().example);
    }
}
