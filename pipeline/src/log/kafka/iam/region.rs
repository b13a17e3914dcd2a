//! Which region a token is signed for. MSK refuses a token of another one without a word about it,
//! so that the brokers' names are believed before what the rest of a machine is set to.

/// Names of AWS's own variables, in the order in which its tools look at them.
const VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The region that is set, or that the brokers' names tell, or that `environment` has.
///
/// # Errors
/// Names the setting if there is none, or if it cannot be one.
pub fn find(
    setting: Option<&str>,
    brokers: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let given = |text: &String| !text.is_empty();
    let region = setting
        .map(str::to_owned)
        .filter(given)
        .or_else(|| hosts(brokers).find_map(of_name).map(str::to_owned))
        .or_else(|| VARIABLES.into_iter().filter_map(environment).find(given));
    let Some(region) = region else {
        return Err(format!(
            "{brokers} does not tell the region of MSK: set KAFKA_AWS_REGION or AWS_REGION"
        ));
    };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match region.chars().all(fits) {
        true => Ok(region),
        false => Err(format!("KAFKA_AWS_REGION: {region} is no region, as eu-central-1 is one")),
    }
}

/// Of `b-1.NAME.ID.c2.kafka.REGION.amazonaws.com`. A cluster's own name may hold a region too.
fn of_name(host: &str) -> Option<&str> {
    let host = host.strip_suffix(".amazonaws.com").or(host.strip_suffix(".amazonaws.com.cn"))?;
    let (rest, region) = host.rsplit_once('.')?;
    let (_, service) = rest.rsplit_once('.')?;
    matches!(service, "kafka" | "kafka-serverless").then_some(region)
}

fn hosts(brokers: &str) -> impl Iterator<Item = &str> {
    brokers.split(',').map(|broker| {
        let broker = broker.trim();
        broker.rsplit_once(':').map_or(broker, |(host, _)| host)
    })
}

/// They are MSK Serverless, which has limits of its own.
pub fn is_serverless(brokers: &str) -> bool {
    hosts(brokers).any(|host| of_name(host).is_some() && host.contains(".kafka-serverless."))
}

/// Whom a token of that region is addressed to.
pub fn endpoint(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("kafka.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn the_brokers_names_tell_their_region() {
        let names = [
            ("b-1.logs.a1b2c3.c2.kafka.us-east-1.amazonaws.com:9098", "us-east-1"),
            ("b-1-public.logs.a1b2c3.c2.kafka.eu-west-3.amazonaws.com:9198", "eu-west-3"),
            ("boot-x.c1.kafka-serverless.eu-central-1.amazonaws.com:9098", "eu-central-1"),
            ("b-1.logs.a1b2c3.c2.kafka.cn-north-1.amazonaws.com.cn:9098", "cn-north-1"),
            ("b-1.logs.a1.c2.kafka.us-gov-west-1.amazonaws.com:9098", "us-gov-west-1"),
            // The cluster's own name comes first, and says nothing.
            ("b-1.for-us-west-1.a1.c2.kafka.us-west-2.amazonaws.com:9098", "us-west-2"),
            ("kafka.internal:9098, b-2.x.y.c3.kafka.sa-east-1.amazonaws.com", "sa-east-1"),
        ];
        for (brokers, region) in names {
            assert_eq!(find(None, brokers, nothing).as_deref(), Ok(region), "{brokers}");
        }
        let elsewhere = [
            "127.0.0.1:9092",
            "b-1.kafka.us-east-1.amazonaws.com.evil.example:9098",
            "bucket.s3.us-east-1.amazonaws.com:9098",
        ];
        for brokers in elsewhere {
            let error = find(None, brokers, nothing).expect_err(brokers);
            assert!(error.contains("KAFKA_AWS_REGION") && error.contains(brokers), "{error}");
        }
    }

    #[test]
    fn the_setting_wins_and_the_environment_comes_last() {
        let brokers = "b-1.logs.a1.c2.kafka.us-east-1.amazonaws.com:9098";
        let environment = |name: &str| (name == "AWS_DEFAULT_REGION").then(|| "ap-south-1".into());
        assert_eq!(find(Some("eu-west-1"), brokers, environment).as_deref(), Ok("eu-west-1"));
        assert_eq!(find(Some(""), brokers, environment).as_deref(), Ok("us-east-1"));
        assert_eq!(find(None, "kafka:9098", environment).as_deref(), Ok("ap-south-1"));
        let error = find(Some("eu-west-1.evil.example/"), brokers, nothing).expect_err("refused");
        assert!(error.contains("KAFKA_AWS_REGION"), "{error}");
    }

    #[test]
    fn only_serverless_is_serverless_and_china_has_a_domain_of_its_own() {
        assert!(is_serverless("boot-x.c1.kafka-serverless.eu-central-1.amazonaws.com:9098"));
        assert!(!is_serverless("b-1.logs.a1.c2.kafka.us-east-1.amazonaws.com:9098"));
        assert_eq!(endpoint("eu-central-1"), "kafka.eu-central-1.amazonaws.com");
        assert_eq!(endpoint("cn-northwest-1"), "kafka.cn-northwest-1.amazonaws.com.cn");
    }
}
