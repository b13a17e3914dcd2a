//! The server: how it is reached, which of the two families it is, and where its binlog stands.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{
    BinlogStream, BinlogStreamRequest, Conn, GnoInterval, Opts, OptsBuilder, Row, Sid, SslOpts,
};
use tahoe_pipeline::secret::Secret;

use crate::charset::Charset;
use crate::column::Described;
use crate::ddl::{Definition, TableName, charset_of_collation};
use crate::failure::{CONNECT, Failure};
use crate::gtid::{Gtids, uuid_bytes};
use crate::point::Offset;
use crate::read::quoted_table;
use crate::selection::Selection;
use crate::table_map::Dialect;

/// A server that does not answer is tried again after this.
const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(10);

/// An idle server says where it is this often, in nanoseconds.
const HEARTBEAT_NANOS: u64 = 1_000_000_000;

/// Texts in UTF-8, times in UTC, and patience with a reader that waits for its log, or reads a
/// table without a primary key, which is one chunk, before it goes on with the binlog: the server
/// would otherwise give up a connection that does not read for a minute. A table whose definition
/// is being changed is waited for, but not for ever.
const SESSION: &str = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = '', \
     net_write_timeout = 31536000, net_read_timeout = 3600, wait_timeout = 31536000, \
     lock_wait_timeout = 60";

/// A transaction that has read from a table keeps its definition as it is.
const DEFINITIONS_STAND: &str = "START TRANSACTION";
const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// Columns by database and table.
pub(crate) type Descriptions = HashMap<(String, String), Vec<Described>>;

/// Where the server is and who asks.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<Secret>,
    pub tls: bool,
    pub ca: Option<PathBuf>,
    /// Ours among the server's replicas.
    pub server_id: u32,
    /// Of a record that is made of what it gives.
    pub record_bytes_max: usize,
}

/// Variables of the server by name; those that it does not have are missing.
pub(crate) struct Variables(HashMap<String, String>);

impl Variables {
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn is_mariadb(&self) -> bool {
        self.get("version").contains("MariaDB")
    }

    /// What tells this server from another one.
    pub fn identity(&self) -> String {
        let names = ["server_uuid", "server_uid"];
        let unique = names.into_iter().map(|name| self.get(name)).find(|value| !value.is_empty());
        unique.map_or_else(|| format!("server_id {}", self.get("server_id")), str::to_owned)
    }
}

const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', \
     'version_comment', 'server_uuid', 'server_uid', 'server_id', 'log_bin', 'binlog_format', \
     'binlog_row_image', 'binlog_row_metadata', 'gtid_mode', 'log_bin_compress', \
     'binlog_row_value_options', 'expire_logs_days', 'binlog_expire_logs_seconds', \
     'lower_case_table_names', 'log_slave_updates', 'gtid_slave_pos', 'read_only')";

impl Server {
    /// `127.0.0.1:3306`
    pub fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn options(&self) -> Opts {
        let tls = self.tls.then(|| {
            let roots = self.ca.iter().map(|path| path.clone().into()).collect();
            SslOpts::default().with_root_certs(roots)
        });
        OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some(self.user.clone()))
            .pass(self.password.as_ref().map(|password| password.reveal().to_owned()))
            .ssl_opts(tls)
            .prefer_socket(false)
            .tcp_keepalive(Some(Duration::from_secs(60)))
            .into()
    }

    /// What a failure of `what` means.
    pub fn failure<'f>(&self, what: &'f str) -> impl Fn(mysql_async::Error) -> Failure + 'f {
        let name = self.name();
        move |error| Failure::of(&name, what, error)
    }

    pub async fn connect(&self) -> Result<Conn, Failure> {
        let opened = tokio::time::timeout(CONNECT_SECONDS_MAX, Conn::new(self.options())).await;
        let opened = opened.map_err(|_| {
            Failure::Retry(format!(
                "MySQL at {} does not answer: correct MYSQL_HOST and MYSQL_PORT",
                self.name()
            ))
        })?;
        let mut conn = opened.map_err(self.failure(CONNECT))?;
        conn.query_drop(SESSION).await.map_err(self.failure("prepare the session"))?;
        Ok(conn)
    }

    pub async fn variables(&self, conn: &mut Conn) -> Result<Variables, Failure> {
        let found: Vec<(String, String)> =
            conn.query(VARIABLES).await.map_err(self.failure("read its variables"))?;
        Ok(Variables(found.into_iter().collect()))
    }

    /// The end of the binlog.
    pub async fn end(
        &self,
        conn: &mut Conn,
        variables: &Variables,
    ) -> Result<(Offset, Option<Gtids>), Failure> {
        let what = "SHOW MASTER STATUS";
        let row: Option<Row> = match conn.query_first(what).await {
            // MySQL 8.4 has only the newer name.
            Err(mysql_async::Error::Server(error)) if error.code == 1064 => {
                conn.query_first("SHOW BINARY LOG STATUS").await
            }
            other => other,
        }
        .map_err(self.failure(what))?;
        let row = row.ok_or_else(|| {
            Failure::Stop(format!(
                "MySQL at {} keeps no binlog: set log_bin and server_id in its [mysqld] section \
                 and restart it",
                self.name()
            ))
        })?;
        let text = |at: usize| row.get::<String, _>(at).unwrap_or_default();
        let at = row.get::<u64, _>(1).unwrap_or_default();
        let offset = Offset { file: text(0), at };
        let gtids = if variables.is_mariadb() {
            self.mariadb_gtids(conn, &offset).await?
        } else if variables.get("gtid_mode") == "ON" {
            Gtids::mysql(&text(4))
        } else {
            None
        };
        Ok((offset, gtids))
    }

    /// A MariaDB that follows another may not have yet what was read there, and refuses what it does
    /// not know as if that were lost.
    pub async fn must_have(
        &self,
        conn: &mut Conn,
        variables: &Variables,
        read: Option<&Gtids>,
    ) -> Result<(), Failure> {
        let Some(read) = read.filter(|_| variables.is_mariadb()) else { return Ok(()) };
        let what = "ask whether it is a replica";
        let running: Option<(String, u64)> = conn
            .query_first("SHOW GLOBAL STATUS LIKE 'Slaves_running'")
            .await
            .map_err(self.failure(what))?;
        let (_, has) = self.end(conn, variables).await?;
        let has = has.unwrap_or(Gtids::Last(BTreeMap::new()));
        match running.is_some_and(|(_, count)| count > 0) && has.is_behind(read) {
            true => Err(Failure::Retry(format!(
                "MySQL at {} is a replica that has {has} yet, and {read} was read from another: \
                 waiting for it",
                self.name()
            ))),
            false => Ok(()),
        }
    }

    async fn mariadb_gtids(
        &self,
        conn: &mut Conn,
        offset: &Offset,
    ) -> Result<Option<Gtids>, Failure> {
        let what = "ask for the global transaction id";
        let query = "SELECT BINLOG_GTID_POS(?, ?)";
        let found: Option<Option<String>> =
            conn.exec_first(query, (&offset.file, offset.at)).await.map_err(self.failure(what))?;
        Ok(found.flatten().and_then(|text| Gtids::mariadb(&text)))
    }

    /// What of its table maps is its own.
    pub async fn dialect(
        &self,
        conn: &mut Conn,
        variables: &Variables,
    ) -> Result<Dialect, Failure> {
        let newer = "SELECT ID, CHARACTER_SET_NAME FROM \
             information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID IS NOT NULL";
        let older = "SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS \
             WHERE ID IS NOT NULL AND CHARACTER_SET_NAME IS NOT NULL";
        let found: Vec<(usize, String)> = match conn.query(newer).await {
            Ok(found) => found,
            Err(_) => conn.query(older).await.map_err(self.failure("read its collations"))?,
        };
        let collations = found.into_iter().map(|(id, set)| (id, Charset::named(&set))).collect();
        let folds_names = !matches!(variables.get("lower_case_table_names"), "" | "0");
        Ok(Dialect { collations, mariadb: variables.is_mariadb(), folds_names })
    }

    /// The columns of a table as they are now; none if there is no such table.
    pub async fn describe(
        &self,
        conn: &mut Conn,
        database: &str,
        table: &str,
    ) -> Result<Vec<Described>, Failure> {
        let what = "read the columns of a table";
        let columns = "SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, CHARACTER_SET_NAME FROM \
             information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? \
             ORDER BY ORDINAL_POSITION";
        let key = "SELECT COLUMN_NAME, SEQ_IN_INDEX FROM information_schema.STATISTICS WHERE \
             TABLE_SCHEMA = ? AND TABLE_NAME = ? AND INDEX_NAME = 'PRIMARY'";
        let columns: Vec<(String, String, String, Option<String>)> =
            conn.exec(columns, (database, table)).await.map_err(self.failure(what))?;
        let key: HashMap<String, usize> = conn
            .exec::<(String, usize), _, _>(key, (database, table))
            .await
            .map_err(self.failure(what))?
            .into_iter()
            .collect();
        let described = columns.into_iter().map(|(name, data_type, full_type, charset)| {
            let in_key = key.get(&name).copied();
            let charset = charset.unwrap_or_default();
            Described { name, data_type, full_type, charset, in_key }
        });
        Ok(described.collect())
    }

    /// The columns of all tables that are selected, as they are now.
    pub async fn describe_all(
        &self,
        conn: &mut Conn,
        selection: &Selection,
    ) -> Result<Descriptions, Failure> {
        let what = "read the columns of all tables";
        let tables = selection.tables(conn).await.map_err(self.failure(what))?;
        let mut all = Descriptions::default();
        for (database, table) in tables {
            let described = self.describe(conn, &database, &table).await?;
            all.insert((database, table), described);
        }
        Ok(all)
    }

    /// A table's definition as it is now: no statement is in the middle of changing it, so that
    /// the binlog has all that came before and nothing that comes after.
    pub async fn definition(
        &self,
        conn: &mut Conn,
        name: &TableName,
    ) -> Result<Definition, Failure> {
        let what = "read the definition of a table";
        let (database, table) = name;
        conn.query_drop(DEFINITIONS_STAND).await.map_err(self.failure(what))?;
        let used = format!("SELECT 1 FROM {} LIMIT 0", quoted_table(database, table));
        match conn.query_drop(used).await {
            // Without the right to read it, or without it, there is nothing to wait for.
            Ok(()) => {}
            Err(mysql_async::Error::Server(error)) if error.code != LOCK_WAIT_TIMEOUT => {}
            Err(error) => return Err(self.failure(what)(error)),
        }
        let columns = self.describe(conn, database, table).await?;
        let collation = "SELECT TABLE_COLLATION FROM information_schema.TABLES WHERE \
             TABLE_SCHEMA = ? AND TABLE_NAME = ?";
        let collation: Option<Option<String>> =
            conn.exec_first(collation, (database, table)).await.map_err(self.failure(what))?;
        conn.query_drop("COMMIT").await.map_err(self.failure(what))?;
        let charset = collation.flatten().and_then(|name| charset_of_collation(&name));
        Ok(Definition { charset, columns })
    }

    /// The definitions of all tables that are selected and of their databases, each as it is when
    /// it is looked at.
    pub async fn definitions(
        &self,
        conn: &mut Conn,
        selection: &Selection,
    ) -> Result<Vec<(TableName, Definition)>, Failure> {
        let what = "list the tables";
        let tables = selection.tables(conn).await.map_err(self.failure(what))?;
        let mut all = Vec::with_capacity(tables.len());
        let databases = "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME FROM \
             information_schema.SCHEMATA";
        let databases: Vec<(String, String)> =
            conn.query(databases).await.map_err(self.failure(what))?;
        for (name, charset) in
            databases.into_iter().filter(|(name, _)| selection.has_database(name))
        {
            let definition = Definition { charset: Some(charset), columns: Vec::new() };
            all.push(((name, String::new()), definition));
        }
        for name in tables {
            let definition = self.definition(conn, &name).await?;
            all.push((name, definition));
        }
        Ok(all)
    }

    /// The binlog from there to where it ends now, for a reader that is no replica.
    pub async fn stream_to_end(&self, from: &Offset) -> Result<BinlogStream, Failure> {
        const NO_REPLICA: u32 = 0;
        let what = "read the binlog ahead";
        let mut conn = self.connect().await?;
        // Events as MariaDB writes them; MySQL has no use for it.
        let capability = "SET @mariadb_slave_capability = 4";
        conn.query_drop(capability).await.map_err(self.failure(what))?;
        let request = BinlogStreamRequest::new(NO_REPLICA)
            .with_non_blocking()
            .with_filename(from.file.as_bytes())
            .with_pos(from.at);
        conn.get_binlog_stream(request).await.map_err(self.failure(what))
    }

    /// The binlog from there on.
    pub async fn stream(
        &self,
        variables: &Variables,
        from: &(Offset, Option<Gtids>),
    ) -> Result<BinlogStream, Failure> {
        let what = "ask for the binlog";
        let mut conn = self.connect().await?;
        let (offset, gtids) = from;
        let mut set = vec![format!("@master_heartbeat_period = {HEARTBEAT_NANOS}")];
        let mut request = BinlogStreamRequest::new(self.server_id).with_hostname(b"tahoe-mysql");
        let mut by_file = true;
        if variables.is_mariadb() {
            set.push("@mariadb_slave_capability = 4".to_owned());
        }
        match gtids {
            Some(gtids @ Gtids::Last(_)) if !gtids.to_string().is_empty() => {
                // Text of digits, dashes and commas.
                set.push(format!("@slave_connect_state = '{gtids}'"));
                by_file = false;
            }
            Some(gtids @ Gtids::All(all)) if !gtids.has_tags() => {
                request = request.with_gtid().with_gtid_set(sids(all));
                by_file = false;
            }
            _ => {}
        }
        conn.query_drop(format!("SET {}", set.join(", "))).await.map_err(self.failure(what))?;
        if by_file {
            request = request.with_filename(offset.file.as_bytes()).with_pos(offset.at);
        }
        conn.get_binlog_stream(request).await.map_err(self.failure(what))
    }
}

fn sids(all: &BTreeMap<String, Vec<(u64, u64)>>) -> Vec<Sid<'static>> {
    let one = |(uuid, intervals): (&String, &Vec<(u64, u64)>)| {
        let sid = Sid::new(uuid_bytes(uuid)?);
        // The end of an interval is not in it.
        let add = |sid: Sid<'static>, (first, last): &(u64, u64)| {
            sid.with_interval(GnoInterval::new(*first, last + 1))
        };
        Some(intervals.iter().fold(sid, add))
    };
    all.iter().filter_map(one).collect()
}
