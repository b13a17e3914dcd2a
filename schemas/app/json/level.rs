//! Levels as JSON holds them: words of any vocabulary, and the numbers of several.

use crate::find::trim;
use crate::level::{is_failure, named, usual};
use crate::{Event, fields};

/// No vocabulary has longer words.
const WORD_BYTES_MAX: usize = 32;

/// Where numbers come from that are not the usual ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// pino and bunyan (10 to 60), Monolog (100 to 600), syslog and GELF (0 to 7).
    Usual,
    /// 10 debug, 20 info, 30 warning, 40 error, 50 critical.
    Python,
    /// From 1 on four of each: trace, debug, info, warning, error, fatal
    /// (<https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber>).
    Telemetry,
}

/// Sets level and kind of event. A word that is not of the vocabulary is kept in lower case; what a
/// level was called before is recorded. Says whether it was one.
pub(super) fn set<'a>(text: &'a str, numbers: Numbers, event: &mut Event<'a>) -> bool {
    let text = trim(text);
    let Some(level) = name(text, numbers, event) else { return false };
    match text.parse::<i64>() {
        Ok(number) => {
            event.set(fields::event::SEVERITY, number);
            event.set(fields::log::LEVEL, level);
        }
        Err(_) => event.set_level(event.lower_case(text), level),
    }
    event.set(fields::event::TYPE, if is_failure(level) { "error" } else { "info" });
    true
}

/// What a level is called here.
pub(super) fn name<'a>(text: &'a str, numbers: Numbers, event: &Event<'a>) -> Option<&'a str> {
    let text = trim(text);
    if let Some(level) = usual(text) {
        return Some(level);
    }
    match text.parse::<i64>() {
        Ok(number) => of_number(number, numbers),
        // Google Cloud's, for an entry that was given none.
        Err(_) if text == "DEFAULT" => None,
        // The usual one of the console of JavaScript, and NestJS.
        Err(_) if text == "log" => Some("info"),
        Err(_) => (1..=WORD_BYTES_MAX)
            .contains(&text.len())
            .then(|| named(nearest(event.lower_case(text)))),
    }
}

/// Go's slog counts from the nearest of its names: `error+2`, `debug-4`.
fn nearest(word: &str) -> &str {
    let steps = word.split_once(['+', '-']).filter(|(name, steps)| {
        matches!(*name, "debug" | "info" | "warn" | "error") && steps.parse::<u8>().is_ok()
    });
    steps.map_or(word, |(name, _)| name)
}

fn of_number(number: i64, numbers: Numbers) -> Option<&'static str> {
    const SYSLOG: [&str; 8] =
        ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
    const PYTHON: [&str; 5] = ["debug", "info", "warning", "error", "critical"];
    const BUNYAN: [&str; 6] = ["trace", "debug", "info", "warning", "error", "fatal"];
    let tens = usize::try_from(number / 10).ok()?;
    Some(match (number, numbers) {
        (10..60, Numbers::Python) => PYTHON[tens - 1],
        (_, Numbers::Python) => return None,
        (1..=24, Numbers::Telemetry) => BUNYAN[usize::try_from((number - 1) / 4).ok()?],
        (_, Numbers::Telemetry) => return None,
        (0..=7, _) => SYSLOG[usize::try_from(number).ok()?],
        (10..70, _) => BUNYAN[tens - 1],
        (100..200, _) => "debug",
        (200..250, _) => "info",
        (250..300, _) => "notice",
        (300..400, _) => "warning",
        (400..500, _) => "error",
        (500..550, _) => "critical",
        (550..600, _) => "alert",
        (600, _) => "emergency",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_vocabularies_have_names() {
        let level = |number| of_number(number, Numbers::Usual);
        let found = [0, 3, 7, 8, 10, 35, 60, 69, 70, 99, 100, 249, 250, 600, 601, -1].map(level);
        let expected = [
            Some("emergency"),
            Some("error"),
            Some("debug"),
            None,
            Some("trace"),
            Some("info"),
            Some("fatal"),
            Some("fatal"),
            None,
            None,
            Some("debug"),
            Some("info"),
            Some("notice"),
            Some("emergency"),
            None,
            None,
        ];
        assert_eq!(found, expected);
        assert_eq!(of_number(30, Numbers::Python), Some("warning"));
        assert_eq!(of_number(0, Numbers::Python), None);
        let level = |number| of_number(number, Numbers::Telemetry);
        let found = [0, 1, 4, 5, 9, 13, 20, 21, 24, 25, -3].map(level);
        let named = ["trace", "trace", "debug", "info", "warning", "error", "fatal", "fatal"];
        assert_eq!(found[1..9], named.map(Some));
        assert_eq!((found[0], found[9], found[10]), (None, None, None));
    }
}
