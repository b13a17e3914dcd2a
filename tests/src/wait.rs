//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// Longer than anything here takes on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks.
const STEP: Duration = Duration::from_millis(20);

/// Asks `look` again and again until it gives a value.
///
/// # Panics
/// With `what` and the last text that `look` gave instead, when [`PATIENCE`] is over.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < deadline, "{what}: {instead}"),
        }
        std::thread::sleep(STEP);
    }
}

/// Asks `look` again and again until it gives a value, for as long as the number grows that it gives
/// instead.
///
/// # Panics
/// With `what` and the number, when it has been the same for [`PATIENCE`].
pub fn until_it_rests<T>(what: &str, mut look: impl FnMut() -> Result<T, u64>) -> T {
    let (mut deadline, mut most) = (Instant::now() + PATIENCE, 0);
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) if instead > most => {
                (deadline, most) = (Instant::now() + PATIENCE, instead);
            }
            Err(instead) => assert!(Instant::now() < deadline, "{what}: {instead}"),
        }
        std::thread::sleep(STEP);
    }
}

/// Asks `look` until it is true.
///
/// # Panics
/// With `what`, when [`PATIENCE`] is over.
pub fn until_true(what: &str, mut look: impl FnMut() -> bool) {
    until(what, || if look() { Ok(()) } else { Err("not so".to_owned()) });
}
