//! `--check`: everything that is configured is connected to, at the same time, within ten seconds.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The promise is ten seconds, with time left to print.
const WITHIN: Duration = Duration::from_millis(9_500);

/// One thing to look at: its name, and how.
pub struct Check {
    name: String,
    look: Box<dyn FnOnce() -> Result<String, String> + Send>,
}

impl Check {
    /// `look` changes nothing and says what it found, in lines, or what to change.
    pub fn new(
        name: impl Into<String>,
        look: impl FnOnce() -> Result<String, String> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), look: Box::new(look) }
    }

    /// Does it now and waits, however long it takes.
    ///
    /// # Errors
    /// What it found wrong, behind its name.
    pub fn run(self) -> Result<String, String> {
        (self.look)().map_err(|error| format!("{}: {error}", self.name))
    }
}

/// Runs all checks and prints what they found: lines for people, or with `json` one object
/// `{"ok", "checks": [{"name", "ok", "text"}]}`. Fails if one of them does.
pub fn run_checks(checks: Vec<Check>, json: bool) -> ExitCode {
    let deadline = Instant::now() + WITHIN;
    let (found, looked) = mpsc::channel();
    let names: Vec<_> = checks.iter().map(|check| check.name.clone()).collect();
    for (index, check) in checks.into_iter().enumerate() {
        let found = found.clone();
        // The thread of a check that never answers ends with the process.
        std::thread::spawn(move || {
            let _ = found.send((index, (check.look)()));
        });
    }
    drop(found);
    let mut results: Vec<Option<Result<String, String>>> = vec![None; names.len()];
    while let Ok((index, result)) =
        looked.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        results[index] = Some(result);
    }
    let slow = || Err(format!("no answer within {} s", WITHIN.as_secs_f32().ceil()));
    let results: Vec<_> = results.into_iter().map(|result| result.unwrap_or_else(slow)).collect();
    // Whether or not somebody still reads: what was found is the exit code as well.
    let _ = io::stdout().write_all(said(&names, &results, json).as_bytes());
    match results.iter().all(Result::is_ok) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn said(names: &[String], results: &[Result<String, String>], json: bool) -> String {
    let all = names.iter().zip(results);
    if json {
        let check = |(name, result): (&String, &Result<String, String>)| {
            let text = result.as_ref().unwrap_or_else(|error| error);
            serde_json::json!({"name": name, "ok": result.is_ok(), "text": text})
        };
        let ok = results.iter().all(Result::is_ok);
        let checks = all.map(check).collect::<Vec<_>>();
        return format!("{}\n", serde_json::json!({"ok": ok, "checks": checks}));
    }
    let mut said = String::new();
    for (name, result) in all {
        let (state, text) = match result {
            Ok(text) => ("ok", text),
            Err(error) => ("error", error),
        };
        said.extend(text.lines().map(|line| format!("{state:<6} {name}: {line}\n")));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_fails_all_and_the_others_still_run() {
        let check = |ok| move || if ok { Ok("fine".to_owned()) } else { Err("bad".to_owned()) };
        let (said, heard) = mpsc::channel();
        let last = Check::new("c", move || {
            said.send(()).map_err(|error| error.to_string())?;
            Ok("fine".to_owned())
        });
        let code = run_checks(vec![Check::new("a", check(false)), last], true);
        assert_eq!(code, ExitCode::FAILURE);
        assert_eq!(heard.recv(), Ok(()));
        assert_eq!(run_checks(vec![Check::new("a", check(true))], false), ExitCode::SUCCESS);
    }
}
