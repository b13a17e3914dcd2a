//! What a secret does to a value: a hash that the same value always gives (HMAC-SHA-256), or a text
//! that who has the secret can read again (AES-256-GCM). Both are functions of secret and value, as
//! normalising has to be: the nonce of an encryption is a hash of what is encrypted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{aead, hmac};

/// What an encrypted value begins with: the scheme's version follows.
const MARK: &str = "enc:1:";

/// Whether a value is an encrypted one.
pub(crate) fn is_encrypted(value: &str) -> bool {
    value.starts_with(MARK)
}
/// Fewer bytes can be guessed.
const SECRET_BYTES_MIN: usize = 16;
/// Bytes of a hash that are kept: a collision among 2^40 values is one in a trillion.
const HASH_BYTES: usize = 16;

/// The keys that follow from one secret.
pub struct Keys {
    id: String,
    hash: hmac::Key,
    nonce: hmac::Key,
    seal: aead::LessSafeKey,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.id)
    }
}

impl Keys {
    /// The keys of a secret of 16 bytes or more.
    ///
    /// # Errors
    /// It is shorter.
    pub fn new(secret: &str) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(format!("a secret has {SECRET_BYTES_MIN} bytes or more"));
        }
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let derived = |what: &str| hmac::sign(&secret, format!("tahoe 1 {what}").as_bytes());
        let key = |what| hmac::Key::new(hmac::HMAC_SHA256, derived(what).as_ref());
        let seal = aead::UnboundKey::new(&aead::AES_256_GCM, derived("seal").as_ref());
        Ok(Self {
            id: URL_SAFE_NO_PAD.encode(&derived("id").as_ref()[..6]),
            hash: key("hash"),
            nonce: key("nonce"),
            seal: aead::LessSafeKey::new(seal.expect("a SHA-256 has 32 bytes")),
        })
    }

    /// The name that encrypted values carry.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// 22 characters that the same value always gives.
    pub(super) fn hashed(&self, text: &str) -> String {
        let hash = hmac::sign(&self.hash, text.as_bytes());
        URL_SAFE_NO_PAD.encode(&hash.as_ref()[..HASH_BYTES])
    }

    /// `enc:1:<key id>:<nonce, text and tag in base64url>`
    pub(super) fn encrypted(&self, text: &str) -> String {
        let nonce = hmac::sign(&self.nonce, text.as_bytes());
        let mut sealed = nonce.as_ref()[..aead::NONCE_LEN].to_vec();
        let once = aead::Nonce::try_assume_unique_for_key(&sealed).expect("it has its length");
        let mut text = text.as_bytes().to_vec();
        self.seal
            .seal_in_place_append_tag(once, aead::Aad::empty(), &mut text)
            .expect("a value is far below the limit of 64 GiB");
        sealed.extend_from_slice(&text);
        format!("{MARK}{}:{}", self.id, URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The text of an encrypted value.
    ///
    /// # Errors
    /// It is none, was encrypted with another secret, or was changed since.
    pub fn decrypt(&self, value: &str) -> Result<String, String> {
        let rest = value.strip_prefix(MARK).ok_or("it does not begin with enc:1:")?;
        let (id, sealed) = rest.split_once(':').ok_or("it names no key")?;
        if id != self.id {
            return Err(format!("it was encrypted with the key {id}, and this is {}", self.id));
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|error| error.to_string())?;
        let (nonce, text) =
            sealed.split_at_mut_checked(aead::NONCE_LEN).ok_or("it is too short")?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).expect("it has its length");
        let opened = self.seal.open_in_place(nonce, aead::Aad::empty(), text);
        let text = opened.map_err(|_| "it was changed since it was encrypted")?;
        String::from_utf8(text.to_vec()).map_err(|error| error.to_string())
    }

    /// A text in which every encrypted value of this key is readable again.
    pub fn decrypt_all(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(MARK) {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
            let value = &rest[at..];
            let value = &value[..value.find(|c| !is_part(c)).unwrap_or(value.len())];
            out.push_str(&rest[..at]);
            match self.decrypt(value) {
                Ok(plain) => out.push_str(&plain),
                Err(_) => out.push_str(value),
            }
            rest = &rest[at + value.len()..];
        }
        out + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_readable_with_its_secret_alone_and_gives_the_same_text_each_time() {
        let keys = Keys::new("0123456789abcdef").expect("long enough");
        let value = keys.encrypted("ana@shop.example");
        assert_eq!(value, keys.encrypted("ana@shop.example"));
        assert_ne!(value, keys.encrypted("eva@shop.example"));
        assert_eq!(keys.decrypt(&value).as_deref(), Ok("ana@shop.example"));
        let line = format!("{{\"a\":\"{value}\",\"b\":\"enc:1:x:y\"}}");
        assert_eq!(keys.decrypt_all(&line), "{\"a\":\"ana@shop.example\",\"b\":\"enc:1:x:y\"}");

        let others = Keys::new("another secret of some length").expect("long enough");
        assert!(others.decrypt(&value).expect_err("another key").contains(keys.id()));
        assert_ne!(keys.hashed("a"), others.hashed("a"));
        let (head, _) = value.split_at(value.len() - 4);
        assert!(keys.decrypt(&format!("{head}AAAA")).is_err());
        for wrong in ["", "enc:1:", "enc:1:a", &format!("enc:1:{}:AA", keys.id())] {
            assert!(keys.decrypt(wrong).is_err(), "{wrong}");
        }
        assert!(Keys::new("short").is_err());
        assert!(!format!("{keys:?}").contains("0123"));
    }
}
