//! What a secret does to a value: a hash that the same value always gives (HMAC-SHA-256), or a text
//! that who has the secret can read again (AES-256-GCM). Both are functions of secret and value, as
//! normalising has to be: the nonce of an encryption is a hash of what is encrypted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{aead, hmac};

/// What an encrypted value begins with: the scheme's version follows.
const MARK: &str = "enc:1:";

/// What is wrong with an encrypted value that is not whole.
const CHANGED: &str = "it was changed since it was encrypted";

/// Whether a value is an encrypted one.
pub(crate) fn is_encrypted(value: &str) -> bool {
    value.starts_with(MARK)
}
/// Fewer bytes can be guessed.
const SECRET_BYTES_MIN: usize = 16;
/// Bytes of a hash that are kept: a collision among 2^40 values is one in a trillion.
const HASH_BYTES: usize = 16;

/// The secrets of a policy: the first is the current one, which hashes and encrypts; what the others
/// encrypted before it is read still.
pub struct Keys {
    current: Key,
    older: Vec<Key>,
}

/// What follows from one secret.
struct Key {
    id: String,
    hash: hmac::Key,
    nonce: hmac::Key,
    identity: hmac::Key,
    seal: aead::LessSafeKey,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.ids())
    }
}

impl Keys {
    /// The keys of a text with a secret of 16 bytes or more in each line, the current one first.
    ///
    /// # Errors
    /// One is shorter, or there is none.
    pub fn new(secrets: &str) -> Result<Self, String> {
        let lines = secrets.lines().filter(|line| !line.is_empty());
        let mut keys = lines.map(Key::new).collect::<Result<Vec<_>, _>>()?.into_iter();
        let current = keys.next().ok_or_else(too_short)?;
        Ok(Self { current, older: keys.collect() })
    }

    /// The name that values encrypted now carry.
    pub fn id(&self) -> &str {
        &self.current.id
    }

    /// The names of all, the current one first.
    pub fn ids(&self) -> String {
        self.all().map(|key| key.id.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// 22 characters that the same value always gives.
    pub(super) fn hashed(&self, bytes: &[u8]) -> String {
        let hash = hmac::sign(&self.current.hash, bytes);
        URL_SAFE_NO_PAD.encode(&hash.as_ref()[..HASH_BYTES])
    }

    /// Stands for bytes in an identity that must not tell them.
    pub(super) fn identity(&self, bytes: &[u8]) -> [u8; 32] {
        let hash = hmac::sign(&self.current.identity, bytes);
        hash.as_ref().try_into().expect("a SHA-256 has 32 bytes")
    }

    /// `enc:1:<key id>:<nonce, text and tag in base64url>`
    pub(super) fn encrypted(&self, bytes: &[u8]) -> String {
        let nonce = hmac::sign(&self.current.nonce, bytes);
        let mut sealed = nonce.as_ref()[..aead::NONCE_LEN].to_vec();
        let once = aead::Nonce::try_assume_unique_for_key(&sealed).expect("it has its length");
        let mut text = bytes.to_vec();
        self.current
            .seal
            .seal_in_place_append_tag(once, aead::Aad::empty(), &mut text)
            .expect("a value is far below the limit of 64 GiB");
        sealed.extend_from_slice(&text);
        format!("{MARK}{}:{}", self.current.id, URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The text of an encrypted value.
    ///
    /// # Errors
    /// It is none, was encrypted with another secret, or was changed since.
    pub fn decrypt(&self, value: &str) -> Result<String, String> {
        String::from_utf8(self.opened(value)?)
            .map_err(|_| "what was encrypted is no text".to_owned())
    }

    /// The bytes of an encrypted value.
    ///
    /// # Errors
    /// As [`Keys::decrypt`].
    pub fn opened(&self, value: &str) -> Result<Vec<u8>, String> {
        let rest = value.strip_prefix(MARK).ok_or("it does not begin with enc:1:")?;
        let (id, sealed) = rest.split_once(':').ok_or("it names no key")?;
        let key = self.all().find(|key| key.id == id).ok_or_else(|| {
            format!("it was encrypted with the key {id}, and these are {}", self.ids())
        })?;
        let mut sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| CHANGED)?;
        let (nonce, text) =
            sealed.split_at_mut_checked(aead::NONCE_LEN).ok_or("it is too short")?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).expect("it has its length");
        let opened = key.seal.open_in_place(nonce, aead::Aad::empty(), text);
        let text = opened.map_err(|_| CHANGED)?;
        Ok(text.to_vec())
    }

    /// A text in which every value that one of these keys encrypted is readable again; `unread` is
    /// told why another one is not, as [`Keys::decrypt`] says it.
    pub fn decrypt_all(&self, text: &str, unread: &mut dyn FnMut(String)) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(MARK) {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
            let value = &rest[at..];
            let value = &value[..value.find(|c| !is_part(c)).unwrap_or(value.len())];
            out.push_str(&rest[..at]);
            match self.decrypt(value) {
                Ok(plain) => out.push_str(&plain),
                Err(error) => {
                    out.push_str(value);
                    // A text may tell of the mark.
                    if value.len() > MARK.len() {
                        unread(error);
                    }
                }
            }
            rest = &rest[at + value.len()..];
        }
        out + rest
    }
}

fn too_short() -> String {
    format!(
        "a secret (TAHOE_PRIVACY_KEY, or each line of TAHOE_PRIVACY_KEY_FILE) has \
         {SECRET_BYTES_MIN} bytes or more"
    )
}

impl Key {
    fn new(secret: &str) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(too_short());
        }
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let derived = |what: &str| hmac::sign(&secret, format!("tahoe 1 {what}").as_bytes());
        let key = |what| hmac::Key::new(hmac::HMAC_SHA256, derived(what).as_ref());
        let seal = aead::UnboundKey::new(&aead::AES_256_GCM, derived("seal").as_ref());
        Ok(Self {
            id: URL_SAFE_NO_PAD.encode(&derived("id").as_ref()[..6]),
            hash: key("hash"),
            nonce: key("nonce"),
            identity: key("identity"),
            seal: aead::LessSafeKey::new(seal.expect("a SHA-256 has 32 bytes")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_readable_with_its_secret_alone_and_gives_the_same_text_each_time() {
        let keys = Keys::new("0123456789abcdef").expect("long enough");
        let value = keys.encrypted(b"ana@shop.example");
        assert_eq!(value, keys.encrypted(b"ana@shop.example"));
        assert_ne!(value, keys.encrypted(b"eva@shop.example"));
        assert_eq!(keys.decrypt(&value).as_deref(), Ok("ana@shop.example"));
        let line = format!("{{\"a\":\"{value}\",\"b\":\"enc:1:x:y\"}}");
        let mut unread = Vec::new();
        let read = keys.decrypt_all(&line, &mut |why| unread.push(why));
        assert_eq!(read, "{\"a\":\"ana@shop.example\",\"b\":\"enc:1:x:y\"}");
        assert!(unread.len() == 1 && unread[0].contains("the key x"), "{unread:?}");

        let others = Keys::new("another secret of some length").expect("long enough");
        assert!(others.decrypt(&value).expect_err("another key").contains(keys.id()));
        assert_ne!(keys.hashed(b"a"), others.hashed(b"a"));
        let (head, _) = value.split_at(value.len() - 4);
        assert!(keys.decrypt(&format!("{head}AAAA")).is_err());
        for wrong in ["", "enc:1:", "enc:1:a", &format!("enc:1:{}:AA", keys.id())] {
            assert!(keys.decrypt(wrong).is_err(), "{wrong}");
        }
        assert!(Keys::new("short").is_err());
        assert!(!format!("{keys:?}").contains("0123"));
    }

    #[test]
    fn what_an_older_key_encrypted_is_read_and_the_current_one_encrypts() {
        let (old, new) = ("0123456789abcdef", "another secret of some length");
        let before = Keys::new(old).expect("long enough");
        let both = Keys::new(&format!("{new}\n{old}\n")).expect("two secrets");
        let value = before.encrypted(b"ana");
        assert_eq!(both.decrypt(&value).as_deref(), Ok("ana"));
        assert_eq!(both.id(), Keys::new(new).expect("long enough").id());
        assert_eq!(both.ids(), format!("{}, {}", both.id(), before.id()));
        assert!(before.decrypt(&both.encrypted(b"ana")).is_err());
        assert_ne!(before.hashed(b"ana"), both.hashed(b"ana"), "a hash is its key's");
        assert!(Keys::new(&format!("{new}\nshort")).is_err() && Keys::new("\n").is_err());
    }
}
