//! The fixture: n processes of the program on loopback ports and temporary folders.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use watertable::client::{Client, ClusterStatus, Options, Table};
use watertable::model::TableName;

/// How long a condition is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

const LOOK: Duration = Duration::from_millis(20);
const PROGRAM: &str = env!("CARGO_BIN_EXE_watertable");

static TURN: Mutex<()> = Mutex::const_new(());

/// Waits until `look` finds something.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(LOOK).await; // until `look` finds something
    }
}

/// One node: a process, if it runs, and its folder.
pub struct Node {
    pub address: String,
    pub data: PathBuf,
    log: PathBuf,
    join: Vec<String>,
    /// A file with the certificates it trusts, instead of those of the machine.
    pub trusts: Option<PathBuf>,
    child: Option<Child>,
}

/// Some nodes. Dropping it kills them and removes what they wrote.
pub struct Cluster {
    pub nodes: Vec<Node>,
    root: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts `count` nodes and waits until they are one cluster.
    pub async fn start(count: usize) -> Self {
        let turn = TURN.lock().await;
        let root = TempDir::with_prefix("watertable-test-").expect("a temporary folder");
        let addresses: Vec<String> = (0..count).map(|_| free_address()).collect();
        let mut cluster = Self { nodes: Vec::new(), root, _turn: turn };
        for (at, address) in addresses.iter().enumerate() {
            let join = if at == 0 { Vec::new() } else { vec![addresses[0].clone()] };
            let node = cluster.node(&format!("node-{at}"), address.clone(), join);
            cluster.nodes.push(node);
        }
        for at in 0..count {
            cluster.nodes[at].start(&[]);
        }
        cluster.ready().await;
        cluster
    }

    fn node(&self, name: &str, address: String, join: Vec<String>) -> Node {
        let (data, log) = (self.root.path().join(name), self.root.path().join(format!("{name}.log")));
        Node { address, data, log, join, trusts: None, child: None }
    }

    /// A node that founds a cluster of its own, beside this one; not started.
    pub fn stranger(&self) -> Node {
        self.node("stranger", free_address(), Vec::new())
    }

    /// The folder the nodes' folders are in.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A client that knows all nodes.
    pub fn client(&self) -> Client {
        let addresses = self.nodes.iter().map(|node| node.address.clone()).collect();
        Client::connect(addresses, Options::default()).expect("good addresses")
    }

    /// A client that knows one node; those calls that are not about items, it makes there.
    pub fn client_of(&self, at: usize) -> Client {
        let address = self.nodes[at].address.clone();
        Client::connect(vec![address], Options::default()).expect("a good address")
    }

    /// What a node says of the cluster.
    pub async fn status(&self, at: usize) -> Option<ClusterStatus> {
        self.client_of(at).cluster_status_of(&self.nodes[at].address).await.ok()
    }

    /// Waits until the nodes that run know each other as alive, and vote in the catalog.
    pub async fn ready(&mut self) {
        let running: Vec<usize> =
            (0..self.nodes.len()).filter(|at| self.nodes[*at].child.is_some()).collect();
        let (count, live) = (self.nodes.len(), running.len());
        for at in running {
            let node = &mut self.nodes[at];
            let (address, log) = (node.address.clone(), node.log.clone());
            let child = node.child.as_mut().expect("it runs");
            let client = Client::connect(vec![address.clone()], Options::default()).expect("a good address");
            until(&format!("node {address} being ready"), async || {
                if let Ok(Some(status)) = child.try_wait() {
                    panic!("node {address} ended with {status}:\n{}", tail_of(&log));
                }
                let status = client.cluster_status_of(&address).await.ok()?;
                let votes = status.replicas.first().is_some_and(|catalog| {
                    catalog.group_id == 0 && ["leader", "follower"].contains(&catalog.role.as_str())
                });
                let alive = status.nodes.iter().filter(|node| node.alive).count();
                let known = status.nodes.len() == count && alive >= live && status.catalog_leader != 0;
                (votes && known).then_some(())
            })
            .await;
        }
    }

    /// The node that leads a partition of a table: the one that itself says so, in the newest term.
    pub async fn leader_of(&self, client: &Client, table: &TableName, partition: usize) -> usize {
        until("a leader", async || {
            let group = client.describe_table(table).await.ok()?.partitions.get(partition)?.group.0;
            let mut leader = None;
            for at in (0..self.nodes.len()).filter(|at| self.nodes[*at].child.is_some()) {
                let replicas = self.status(at).await?.replicas.into_iter();
                let leads = replicas.filter(|replica| replica.group_id == group && replica.role == "leader");
                leader = leader.max(leads.map(|replica| (replica.term, at)).max());
            }
            leader.map(|(_, at)| at)
        })
        .await
    }

    /// Waits until every running node knows the table as in use.
    pub async fn everywhere(&self, name: &TableName) -> Table {
        let mut known = None;
        for at in (0..self.nodes.len()).filter(|at| self.nodes[*at].child.is_some()) {
            known = Some(self.client_of(at).wait_active(name, PATIENCE).await.expect("the table is in use"));
        }
        known.expect("a node runs")
    }

    /// Waits until a node has applied everything that the others have logged at this moment.
    pub async fn level(&self, at: usize) {
        let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
        for other in (0..self.nodes.len()).filter(|other| self.nodes[*other].child.is_some()) {
            for replica in self.status(other).await.expect("a status").replicas {
                let last = newest.entry(replica.group_id).or_default();
                *last = replica.last_index.max(*last);
            }
        }
        until("the node having applied what the others have", async || {
            let applied = self.status(at).await?.replicas.into_iter();
            let applied: BTreeMap<u64, u64> =
                applied.map(|replica| (replica.group_id, replica.applied_index)).collect();
            newest.iter().all(|(group, last)| applied.get(group) >= Some(last)).then_some(())
        })
        .await;
    }

    /// kill -9.
    pub fn kill(&mut self, at: usize) {
        self.nodes[at].kill();
    }

    /// Starts a node again on the same folder and address; does not wait for it.
    pub fn start_node(&mut self, at: usize) {
        self.nodes[at].start(&[]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.nodes {
                eprintln!("---- log of {} ----\n{}", node.address, tail_of(&node.log));
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Node {
    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").args(["--listen", &self.address]).arg("--data").arg(&self.data);
        if !self.join.is_empty() {
            command.args(["--join", &self.join.join(",")]);
        }
        if let Some(trusted) = &self.trusts {
            command.env("SSL_CERT_FILE", trusted);
        }
        // `WATERTABLE_LOG` is the program's own: `WATERTABLE_LOG=debug cargo test ...` shows more.
        command.args(flags).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts the process.
    pub fn start(&mut self, flags: &[&str]) {
        assert!(self.child.is_none(), "{} runs already", self.address);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log file");
        let child = self.command(flags).stderr(log).spawn().expect("the program starts");
        self.child = Some(child);
    }

    /// Runs the process until it ends by itself, which it should; gives what it said.
    pub fn run_to_end(&self, flags: &[&str]) -> (ExitStatus, String) {
        let mut child = self.command(flags).stderr(Stdio::piped()).spawn().expect("the program starts");
        ended(&mut child)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill(); // it may have ended already
            child.wait().expect("a child can be waited for");
        }
    }

    /// Asks the process to stop, without waiting.
    pub fn signal_stop(&self) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(sent.success(), "the signal is sent");
    }

    /// Waits for a process that was asked to stop.
    pub async fn stopped(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("it runs");
        let status = until("the process ending", async || child.try_wait().expect("a child")).await;
        self.child = None;
        status
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().expect("a child").is_some())
    }

    /// Everything the process has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A page over plain HTTP.
    pub fn http(&self, path: &str) -> String {
        self.request(&format!("GET {path} HTTP/1.1"), "", "")
    }

    /// An operation of the DynamoDB protocol; gives the status and the body. Any signature does: there are no keys.
    pub fn dynamodb(&self, operation: &str, body: &str) -> (u16, serde_json::Value) {
        let service = match operation {
            "DescribeStream" | "GetRecords" | "GetShardIterator" | "ListStreams" => {
                "DynamoDBStreams_20120810"
            }
            "GetClusterStatus" | "DescribePartitions" => "Watertable_V1",
            _ if operation.contains("Trigger") || operation.contains("Failures") => "Watertable_V1",
            _ => "DynamoDB_20120810",
        };
        let headers = format!(
            "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: {service}.{operation}\r\n\
             X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00\r\n"
        );
        let answer = self.request("POST / HTTP/1.1", &headers, body);
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    fn request(&self, line: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("the node listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = format!(
            "{line}\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

/// Runs the program with some arguments to its end; gives its exit status and what it said on standard error.
pub fn run_program(arguments: &[&str]) -> (ExitStatus, String) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    ended(&mut command.spawn().expect("the program starts"))
}

/// Runs the program to its end with a folder for what is temporary; gives its exit status and what it said, all of it.
pub fn run_in(folder: &Path, arguments: &[&str]) -> (ExitStatus, String) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env("TMPDIR", folder).stdin(Stdio::null());
    let output = command.output().expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&said).into_owned())
}

/// The end of a process that ends by itself, within `PATIENCE`.
fn ended(child: &mut Child) -> (ExitStatus, String) {
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the program still runs after {PATIENCE:?}");
        }
        std::thread::sleep(LOOK); // until it has ended
    };
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    (status, said)
}

fn tail_of(log: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = File::open(log) {
        let _ = file.read_to_string(&mut text);
    }
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// A port nobody listens at, below those the system gives to outgoing connections: a node must find its port free
/// when it is started again.
fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (std::process::id().wrapping_mul(97) + next) % 20_000;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
