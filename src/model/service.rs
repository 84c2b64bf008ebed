//! What usually answers on a port. A registered port is a hint, and is said to be one.

/// Where name servers answer.
pub const NAMES: u16 = 53;

/// Registered ports of servers that applications wait for.
const PORTS: &[(u16, &str)] = &[
    (22, "ssh"),
    (25, "smtp"),
    (NAMES, "dns"),
    (80, "http"),
    (111, "rpcbind"),
    (389, "ldap"),
    (443, "https"),
    (636, "ldaps"),
    (1433, "mssql"),
    (1521, "oracle"),
    (2049, "nfs"),
    (2181, "zookeeper"),
    (2379, "etcd"),
    (3000, "http"),
    (3306, "mysql"),
    (4222, "nats"),
    (5432, "postgres"),
    (5671, "amqps"),
    (5672, "amqp"),
    (6379, "redis"),
    (6432, "pgbouncer"),
    (8000, "http"),
    (8080, "http"),
    (8443, "https"),
    (9042, "cassandra"),
    (9090, "prometheus"),
    (9092, "kafka"),
    (9200, "elasticsearch"),
    (11211, "memcached"),
    (26379, "redis-sentinel"),
    (27017, "mongodb"),
];

/// The service that is registered for `port`.
#[must_use]
pub fn by_port(port: u16) -> Option<&'static str> {
    PORTS.binary_search_by_key(&port, |(port, _)| *port).ok().and_then(|at| PORTS.get(at)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_sorted() {
        assert!(super::PORTS.is_sorted());
        assert_eq!(super::by_port(5432), Some("postgres"));
        assert_eq!(super::by_port(5433), None);
    }
}
