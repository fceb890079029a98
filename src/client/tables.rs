//! Creating, describing, changing and deleting tables, and waiting until that is done.

use std::time::Duration;

use tokio::time::Instant;

use super::call::Target;
use super::error::{Error, Kind};
use super::method::Method;
use super::table::key_to_wire;
use super::{Client, ClusterStatus, NewTable, StreamViewType, Table, TableStatus};
use crate::model::TableName;
use crate::rpc::wire::v1;

/// Pauses between looks at a table.
const LOOK_MIN: Duration = Duration::from_millis(10);
const LOOK_MAX: Duration = Duration::from_millis(250);

impl Client {
    /// Creates a table. It is not in use before `wait_active`.
    pub async fn create_table(&self, table: &NewTable) -> Result<Table, Error> {
        let request = v1::CreateTableRequest {
            table_name: table.name.to_string(),
            key_schema: Some(key_to_wire(&table.key)),
            stream: table
                .stream
                .map(|view| v1::StreamSpecification { enabled: true, view_type: view.into() }),
            partitions: table.partitions,
            retention_ms: table.retention_ms,
        };
        let answer: v1::CreateTableResponse = self.call(Method::CREATE_TABLE, Target::Any, &request).await?;
        described(answer.table)
    }

    /// Describes a table. Errors: `Rejected` if there is none (`Error::is_not_found`).
    pub async fn describe_table(&self, table: &TableName) -> Result<Table, Error> {
        let request = v1::DescribeTableRequest { table_name: table.to_string() };
        let answer: v1::DescribeTableResponse =
            self.call(Method::DESCRIBE_TABLE, Target::Any, &request).await?;
        described(answer.table)
    }

    /// The names of all tables, in byte order.
    pub async fn list_tables(&self) -> Result<Vec<TableName>, Error> {
        let mut names = Vec::new();
        let mut request = v1::ListTablesRequest::default();
        loop {
            let answer: v1::ListTablesResponse =
                self.call(Method::LIST_TABLES, Target::Any, &request).await?;
            for name in &answer.table_names {
                names.push(TableName::parse(name).map_err(Error::malformed)?);
            }
            match answer.last_evaluated_table_name {
                Some(last) => request.exclusive_start_table_name = Some(last),
                None => return Ok(names),
            }
        }
    }

    /// Turns the stream of a table on (with what its records show) or off (`None`). It is not done before
    /// `wait_active`.
    pub async fn update_stream(
        &self,
        table: &TableName,
        stream: Option<StreamViewType>,
    ) -> Result<Table, Error> {
        let specification = v1::StreamSpecification {
            enabled: stream.is_some(),
            view_type: stream.unwrap_or(StreamViewType::Unspecified).into(),
        };
        let request = v1::UpdateTableRequest { table_name: table.to_string(), stream: Some(specification) };
        let answer: v1::UpdateTableResponse = self.call(Method::UPDATE_TABLE, Target::Any, &request).await?;
        described(answer.table)
    }

    /// Deletes a table. Its name is not free before `wait_deleted`.
    pub async fn delete_table(&self, table: &TableName) -> Result<Table, Error> {
        let request = v1::DeleteTableRequest { table_name: table.to_string() };
        let answer: v1::DeleteTableResponse = self.call(Method::DELETE_TABLE, Target::Any, &request).await?;
        described(answer.table)
    }

    /// Waits until a table is in use. Errors: `Unavailable` when the patience is over.
    pub async fn wait_active(&self, table: &TableName, patience: Duration) -> Result<Table, Error> {
        self.wait(patience, format!("table {table} did not become active"), async || {
            match self.describe_table(table).await {
                Ok(description) => Ok((description.status == TableStatus::Active).then_some(description)),
                // A node that was not there when it was created may not have heard of it.
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Waits until a table is gone. Errors: `Unavailable` when the patience is over.
    pub async fn wait_deleted(&self, table: &TableName, patience: Duration) -> Result<(), Error> {
        self.wait(patience, format!("table {table} is still being deleted"), async || {
            match self.describe_table(table).await {
                Ok(_) => Ok(None),
                Err(error) if error.is_not_found() => Ok(Some(())),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// What a node knows of the cluster; of the replicas, it tells only its own.
    pub async fn cluster_status(&self) -> Result<ClusterStatus, Error> {
        self.call(Method::GET_CLUSTER_STATUS, Target::Any, &v1::GetClusterStatusRequest {}).await
    }

    /// What the node at "host:port" knows of the cluster. One attempt.
    pub async fn cluster_status_of(&self, address: &str) -> Result<ClusterStatus, Error> {
        let node = self.shared.pool.node(address)?;
        let method = Method::GET_CLUSTER_STATUS;
        let limit = self.shared.options.deadline;
        let answer = self.attempt(&node, method, Default::default(), limit).await;
        let answer = answer.map_err(|failure| failure.into_error(method.intent))?;
        prost::Message::decode(answer).map_err(Error::malformed)
    }

    /// Looks until there is something, or patience is over.
    async fn wait<T>(
        &self,
        patience: Duration,
        what: String,
        look: impl AsyncFn() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + patience;
        let mut pause = LOOK_MIN;
        loop {
            match look().await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(error) if error.kind() == Kind::Unavailable => {}
                Err(error) => return Err(error),
            }
            if Instant::now() + pause >= deadline {
                return Err(Error::local(Kind::Unavailable, format!("{what} within {patience:?}")));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_MAX);
        }
    }
}

fn described(table: Option<v1::TableDescription>) -> Result<Table, Error> {
    Table::from_wire(table.ok_or_else(|| Error::malformed("no table description"))?)
}
