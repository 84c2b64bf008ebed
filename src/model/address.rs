//! Addresses in recordings. The kinds of servers are flattened into a sample, and what reads such a part takes every format for one of
//! texts: an address must be a text in it, whatever the format. What was written before that is read too.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Deserializer, Serializer};

/// An address as it was written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(SocketAddr),
    Numbers(Numbers),
}

/// As numbers: what the library writes into a format that is not for people.
#[derive(Deserialize)]
enum Numbers {
    V4(([u8; 4], u16)),
    V6(([u8; 16], u16)),
}

impl From<Written> for SocketAddr {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(address) => address,
            Written::Numbers(Numbers::V4((ip, port))) => (Ipv4Addr::from(ip), port).into(),
            Written::Numbers(Numbers::V6((ip, port))) => (Ipv6Addr::from(ip), port).into(),
        }
    }
}

/// Several.
pub mod all {
    use super::*;

    /// As texts.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(addresses: &[SocketAddr], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(addresses.iter().map(ToString::to_string))
    }

    /// In any form.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
        Ok(Vec::<Written>::deserialize(deserializer)?.into_iter().map(SocketAddr::from).collect())
    }
}

/// One, or none.
pub mod one {
    use super::*;

    /// As a text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(address: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
        match address {
            Some(address) => serializer.serialize_some(&address.to_string()),
            None => serializer.serialize_none(),
        }
    }

    /// In any form.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
        Ok(Option::<Written>::deserialize(deserializer)?.map(SocketAddr::from))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Server {
        #[serde(default, with = "one")]
        listens: Option<SocketAddr>,
        #[serde(with = "all")]
        dialled: Vec<SocketAddr>,
    }

    /// As it was written before.
    #[derive(Serialize)]
    struct Before {
        listens: Option<SocketAddr>,
        dialled: Vec<SocketAddr>,
    }

    /// As servers stand in a sample.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample<S> {
        #[serde(flatten)]
        servers: BTreeMap<String, S>,
    }

    #[test]
    fn addresses_come_back_from_a_flattened_part_in_either_form() {
        let (v4, v6): (SocketAddr, SocketAddr) = ("10.0.0.1:5432".parse().unwrap(), "[2001:db8::1]:6379".parse().unwrap());
        let expected = Sample { servers: [("a".to_owned(), Server { listens: Some(v4), dialled: vec![v4, v6] })].into() };
        let before = Sample { servers: [("a".to_owned(), Before { listens: Some(v4), dialled: vec![v4, v6] })].into() };
        for written in [rmp_serde::to_vec_named(&expected).unwrap(), rmp_serde::to_vec_named(&before).unwrap()] {
            assert_eq!(rmp_serde::from_slice::<Sample<Server>>(&written).unwrap(), expected);
        }
        let none = rmp_serde::to_vec_named(&Server { listens: None, dialled: Vec::new() }).unwrap();
        assert_eq!(rmp_serde::from_slice::<Server>(&none).unwrap().listens, None);
    }
}
