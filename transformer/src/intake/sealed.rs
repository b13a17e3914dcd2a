//! Records that their producer encrypted as a whole, for the policy to be applied here.

use tahoe_pipeline::header::Privacy as Private;
use tahoe_schemas::rules::Privacy;

/// A record that its producer encrypted, as it was read.
pub(super) struct Unsealed {
    pub bytes: Vec<u8>,
    pub context: Vec<u8>,
}

/// What a record was that its producer encrypted; `None` of any other.
///
/// # Errors
/// It cannot be read here, or what the producer left to the policy would not be hidden.
pub(super) fn open(
    privacy: Private<'_>,
    (value, context): (&[u8], &[u8]),
    policy: &Privacy,
) -> Result<Option<Unsealed>, String> {
    if privacy != Private::Sealed {
        return Ok(None);
    }
    if !policy.hides() {
        return Err("its producer encrypted it for its policy to be applied here: set --privacy \
                    and TAHOE_PRIVACY_KEY_FILE as there"
            .to_owned());
    }
    let opened = |bytes: &[u8]| {
        policy.opened(bytes).map_err(|error| format!("{error}: TAHOE_PRIVACY_KEY_FILE"))
    };
    Ok(Some(Unsealed { bytes: opened(value)?, context: opened(context)? }))
}
