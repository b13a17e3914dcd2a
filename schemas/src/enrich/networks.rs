//! Where an address is and whose it is, from databases in MaxMind's format
//! (<https://maxmind.github.io/MaxMind-DB/>). Texts are borrowed from the database.
//!
//! Of several databases the first that knows a place gives it, and the first that knows an
//! autonomous system. What no outsider can have, such as `10.0.0.7`, is not looked up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::Filling;
use crate::{Field, Value, fields};

/// One database, in memory.
pub struct Database {
    reader: Reader<Vec<u8>>,
    bytes: usize,
}

impl Database {
    /// Reads a whole file and looks through all of it, so that a damaged one is never asked.
    ///
    /// # Errors
    /// Say what is wrong with it.
    pub fn read(file: Vec<u8>) -> Result<Self, String> {
        let bytes = file.len();
        let reader = Reader::from_source(file).map_err(|error| error.to_string())?;
        let kind = reader.metadata().database_type.as_str();
        let of_places = ["City", "Country", "Enterprise", "Location"];
        let of_systems = ["ASN", "ISP"];
        if !of_places.iter().chain(&of_systems).any(|part| kind.contains(part)) {
            return Err(format!(
                "a database of type {kind} has neither places nor networks' owners"
            ));
        }
        reader.verify().map_err(|error| error.to_string())?;
        let first = reader.networks(WithinOptions::default()).map_err(|error| error.to_string())?;
        for network in first.take(1) {
            let decoded = network.and_then(|network| network.decode::<Known<'_>>().map(drop));
            decoded.map_err(|error| format!("its entries are not as MaxMind's are: {error}"))?;
        }
        Ok(Self { reader, bytes })
    }

    /// `GeoLite2-City`
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// When it was made, in seconds since the epoch.
    pub fn built_s(&self) -> u64 {
        self.reader.metadata().build_epoch
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn find(&self, address: IpAddr) -> Option<Known<'_>> {
        self.reader.lookup(address).ok()?.decode().ok()?
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// The databases of an operator. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Networks(Arc<[Arc<Database>]>);

impl Networks {
    /// Asks these, in their order.
    pub fn new(databases: impl IntoIterator<Item = Arc<Database>>) -> Self {
        Self(databases.into_iter().collect())
    }

    /// There is none to ask.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, address: &str) -> Found<'_> {
        let mut found = Found::default();
        let Ok(address) = address.parse::<IpAddr>() else { return found };
        let address = address.to_canonical();
        if !is_public(address) {
            return found;
        }
        for known in self.0.iter().filter_map(|database| database.find(address)) {
            if found.place.is_none() && known.is_somewhere() {
                found.place = Some(known);
            }
            if found.system.is_none() && known.autonomous_system_number.is_some() {
                found.system = Some(known);
            }
        }
        found
    }

    pub(super) fn fill<'a>(&'a self, filling: &mut Filling<'_, 'a>) {
        let mut before: Option<(&str, Found<'a>)> = None;
        for side in &SIDES {
            let Some(address) = filling.text(side.ip) else { continue };
            let found = match before {
                Some((same, found)) if same == address => found,
                _ => self.find(address),
            };
            before = Some((address, found));
            if let Some(known) = found.system {
                filling.set_some(side.as_number, known.autonomous_system_number);
                filling.set_some(side.as_name, known.autonomous_system_organization);
            }
            if let Some(place) = found.place {
                side.set_place(&place, filling);
            }
        }
    }
}

/// What is known of one address.
#[derive(Clone, Copy, Default)]
struct Found<'d> {
    place: Option<Known<'d>>,
    system: Option<Known<'d>>,
}

/// An entry, as far as events have fields for it.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Known<'d> {
    #[serde(borrow)]
    continent: Area<'d>,
    #[serde(borrow)]
    country: Area<'d>,
    #[serde(borrow)]
    subdivisions: Last<Area<'d>>,
    #[serde(borrow)]
    city: Area<'d>,
    #[serde(borrow)]
    postal: Area<'d>,
    #[serde(borrow)]
    location: Location<'d>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'d str>,
}

impl Known<'_> {
    fn is_somewhere(&self) -> bool {
        self.country.iso_code.is_some()
            || self.continent.code.is_some()
            || self.location.has_place()
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Area<'d> {
    code: Option<&'d str>,
    iso_code: Option<&'d str>,
    #[serde(borrow)]
    names: Names<'d>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Names<'d> {
    en: Option<&'d str>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Location<'d> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    time_zone: Option<&'d str>,
}

impl Location<'_> {
    fn has_place(&self) -> bool {
        let within = |degrees: Option<f64>, most| degrees.is_some_and(|d| d.abs() <= most);
        within(self.latitude, 90.0) && within(self.longitude, 180.0)
    }
}

/// The last of a list: of the areas around a place the smallest.
#[derive(Clone, Copy, Default)]
struct Last<T>(T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Last<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<T>(T);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<T, A::Error> {
                while let Some(next) = list.next_element()? {
                    self.0 = next;
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(self.0)
            }
        }
        deserializer.deserialize_seq(Each(T::default())).map(Last)
    }
}

/// The fields of one end of a connection.
struct Side {
    ip: Field,
    as_number: Field,
    as_name: Field,
    city: Field,
    continent_code: Field,
    continent: Field,
    country_code: Field,
    country: Field,
    location: Field,
    postal_code: Field,
    region_code: Field,
    region: Field,
    time_zone: Field,
}

macro_rules! side {
    ($side:ident) => {
        Side {
            ip: fields::$side::IP,
            as_number: fields::$side::r#as::NUMBER,
            as_name: fields::$side::r#as::organization::NAME,
            city: fields::$side::geo::CITY_NAME,
            continent_code: fields::$side::geo::CONTINENT_CODE,
            continent: fields::$side::geo::CONTINENT_NAME,
            country_code: fields::$side::geo::COUNTRY_ISO_CODE,
            country: fields::$side::geo::COUNTRY_NAME,
            location: fields::$side::geo::LOCATION,
            postal_code: fields::$side::geo::POSTAL_CODE,
            region_code: fields::$side::geo::REGION_ISO_CODE,
            region: fields::$side::geo::REGION_NAME,
            time_zone: fields::$side::geo::TIMEZONE,
        }
    };
}

/// Both names of each end, since a dataset sets those that suit it.
const SIDES: [Side; 4] = [side!(source), side!(client), side!(destination), side!(server)];

impl Side {
    fn set_place<'a>(&self, place: &Known<'a>, filling: &mut Filling<'_, 'a>) {
        let (country, region) = (place.country, place.subdivisions.0);
        filling.set_some(self.continent_code, place.continent.code);
        filling.set_some(self.continent, place.continent.names.en);
        filling.set_some(self.country_code, country.iso_code);
        filling.set_some(self.country, country.names.en);
        if let (Some(country), Some(region)) = (country.iso_code, region.iso_code) {
            let code = filling.event.format(format_args!("{country}-{region}"));
            filling.set(self.region_code, code);
        }
        filling.set_some(self.region, region.names.en);
        filling.set_some(self.city, place.city.names.en);
        filling.set_some(self.postal_code, place.postal.code);
        filling.set_some(self.time_zone, place.location.time_zone);
        if let Location { latitude: Some(lat), longitude: Some(lon), .. } = place.location
            && place.location.has_place()
        {
            let point = filling.event.format(format_args!("{{\"lat\":{lat},\"lon\":{lon}}}"));
            filling.set(self.location, Value::Raw(point.as_bytes()));
        }
    }
}

/// Whether an address may be anybody's on the Internet. Those kept for documentation count: they
/// are in no database but one's own.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && second & 0b1100_0000 == 64;
    !(first == 0
        || first >= 224
        || is_shared
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_outsider_can_have_is_not_looked_up() {
        let public = |text: &str| is_public(text.parse().expect("an address"));
        for text in ["8.8.8.8", "203.0.113.9", "100.128.0.1", "2001:db8::1", "2a00::7"] {
            assert!(public(text), "{text}");
        }
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.31.0.1",
            "192.168.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!public(text), "{text}");
        }
    }
}
