//! What a client shows to MSK in place of a password: the address of a request to connect, signed
//! with SigV4 in its query as AWS's own signers do it, in Base64. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tracing::subscriber::{NoSubscriber, with_default};

use super::region;

/// MSK takes no token that holds for longer.
const LIFETIME_MAX: Duration = Duration::from_secs(900);

/// What SigV4 leaves as it is.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A token. It is as good as a password while it holds, so that it has no `Debug`.
pub struct Token {
    /// What is sent.
    pub text: String,
    /// Whose it is: the id of the access key, which is no secret.
    pub principal: String,
    /// When it was made.
    pub made: SystemTime,
    /// Until when it holds.
    pub expires: SystemTime,
}

impl Token {
    /// Signed at `now`, to hold for 15 minutes, or for as long as the credentials do.
    ///
    /// # Errors
    /// The credentials have expired, or cannot sign.
    pub fn sign(credentials: &Credentials, region: &str, now: SystemTime) -> Result<Self, String> {
        let left = credentials.expiry().map_or(LIFETIME_MAX, |expiry| {
            expiry.duration_since(now).unwrap_or_default().min(LIFETIME_MAX)
        });
        // The query has whole seconds, of the time as of the lifetime.
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = UNIX_EPOCH + Duration::from_secs(since.as_secs());
        let lifetime = Duration::from_secs(left.as_secs());
        if lifetime.is_zero() {
            return Err("the AWS credentials have expired: renew them, or set this machine's \
                        clock right"
                .to_owned());
        }
        let host = region::endpoint(region);
        let mut url = format!("https://{host}/?Action=kafka-cluster%3AConnect");
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(lifetime);
        let identity = credentials.clone().into();
        let how = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("kafka-cluster")
            .time(now)
            .settings(settings)
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let body = SignableBody::Bytes(&[]);
        let request = SignableRequest::new("GET", &url, std::iter::empty(), body);
        // Its own trace has the session's token in it.
        let sign = |request| with_default(NoSubscriber::new(), || sign(request, &how));
        let signed = request.and_then(sign);
        let (signed, _) = signed.map_err(|error| error.to_string())?.into_parts();
        let agent = concat!("tahoe/", env!("CARGO_PKG_VERSION"));
        let agent = ("User-Agent", agent);
        let signed = signed.params().iter().map(|(name, value)| (*name, value.as_ref()));
        for (name, value) in signed.chain([agent]) {
            url.extend(["&", name, "="]);
            url.extend(utf8_percent_encode(value, QUERY));
        }
        Ok(Self {
            text: URL_SAFE_NO_PAD.encode(url),
            principal: credentials.access_key_id().to_owned(),
            made: now,
            expires: now + lifetime,
        })
    }

    /// When the next one should be made: time is left to try again, should that fail.
    pub fn renewed_from(&self) -> SystemTime {
        let lifetime = self.expires.duration_since(self.made).unwrap_or_default();
        self.made + lifetime * 3 / 4
    }
}

#[cfg(test)]
mod tests {
    use ring::{digest, hmac};

    use super::*;

    /// Those of AWS's documentation.
    const KEY: &str = "AKIDEXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn at() -> SystemTime {
        // 2015-08-30T12:36:00Z
        UNIX_EPOCH + Duration::from_secs(1_440_938_160)
    }

    fn credentials(session: Option<&str>, expiry: Option<SystemTime>) -> Credentials {
        Credentials::new(KEY, SECRET, session.map(str::to_owned), expiry, "test")
    }

    fn url(token: &Token) -> String {
        let bytes = URL_SAFE_NO_PAD.decode(&token.text).expect("Base64 without padding");
        String::from_utf8(bytes).expect("an address")
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// SigV4 by its specification, from the request alone: the second way to the same signature.
    fn expected(host: &str, region: &str, day: &str, query: &str) -> String {
        let payload = hex(digest::digest(&digest::SHA256, b"").as_ref());
        let request = format!("GET\n/\n{query}\nhost:{host}\n\nhost\n{payload}");
        let request = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
        let scope = format!("{day}/{region}/kafka-cluster/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{day}T123600Z\n{scope}\n{request}");
        let key = |key: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, key);
        let begin = format!("AWS4{SECRET}").into_bytes();
        let parts = [day, region, "kafka-cluster", "aws4_request", &text];
        let signature = parts
            .iter()
            .fold(begin, |last, part| hmac::sign(&key(&last), part.as_bytes()).as_ref().to_vec());
        hex(&signature)
    }

    #[test]
    fn the_signature_is_that_of_the_specification() {
        let cases = [
            ("us-east-1", None, "kafka.us-east-1.amazonaws.com"),
            ("eu-central-1", Some("a/session+token=="), "kafka.eu-central-1.amazonaws.com"),
            ("cn-north-1", None, "kafka.cn-north-1.amazonaws.com.cn"),
        ];
        for (region, session, host) in cases {
            let token = Token::sign(&credentials(session, None), region, at()).expect("signed");
            let url = url(&token);
            let query = url.strip_prefix(&format!("https://{host}/?")).expect("MSK's own address");
            let (query, agent) = query.split_once("&User-Agent=").expect("an agent");
            assert!(agent.starts_with("tahoe%2F"), "{agent}");
            let mut signed: Vec<_> = query.split('&').collect();
            let found = signed.iter().position(|part| part.starts_with("X-Amz-Signature="));
            let signature = signed.remove(found.expect("a signature"));
            signed.sort_unstable();
            let signed = signed.join("&");
            let expected = expected(host, region, "20150830", &signed);
            assert_eq!(signature, format!("X-Amz-Signature={expected}"), "{url}");
            for part in [
                "Action=kafka-cluster%3AConnect",
                "X-Amz-Algorithm=AWS4-HMAC-SHA256",
                "X-Amz-Date=20150830T123600Z",
                "X-Amz-Expires=900",
                "X-Amz-SignedHeaders=host",
                &format!("X-Amz-Credential={KEY}%2F20150830%2F{region}%2F"),
            ] {
                assert!(signed.contains(part), "{part}: {url}");
            }
            let session = session.map(|_| "X-Amz-Security-Token=a%2Fsession%2Btoken%3D%3D");
            assert_eq!(session.is_some(), signed.contains("Security-Token"), "{url}");
            assert!(session.is_none_or(|session| signed.contains(session)), "{url}");
            assert_eq!((token.principal.as_str(), token.made), (KEY, at()));
        }
    }

    #[test]
    fn it_is_what_aws_s_own_signer_makes() {
        let token = Token::sign(&credentials(None, None), "us-east-1", at()).expect("signed");
        // By botocore 1.43, SigV4QueryAuth, of the same request at the same time.
        let signature = "c413a83bc64a339e31a5e5e9ed99d778ff843206b427540cafa5122c01e3e993";
        assert!(url(&token).contains(&format!("&X-Amz-Signature={signature}&")), "{}", url(&token));
    }

    #[test]
    fn it_holds_no_longer_than_the_credentials() {
        let until = |seconds: u64| Some(at() + Duration::from_secs(seconds));
        let signed = |expiry| Token::sign(&credentials(None, expiry), "us-east-1", at());
        for (expiry, lifetime) in [(None, 900), (until(3_600), 900), (until(60), 60)] {
            let token = signed(expiry).expect("signed");
            assert_eq!(token.expires, at() + Duration::from_secs(lifetime));
            assert!(
                url(&token).contains(&format!("&X-Amz-Expires={lifetime}&")),
                "{}",
                url(&token)
            );
            assert_eq!(token.renewed_from(), at() + Duration::from_secs(lifetime) * 3 / 4);
        }
        let error = signed(until(0)).err().expect("expired");
        assert!(error.contains("expired") && error.contains("clock"), "{error}");
    }
}
