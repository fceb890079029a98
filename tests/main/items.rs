//! Single items and batches: conditions, what writes return, updates, capacity, and what leaves no record.

use prost::Message;
use watertable::client::{
    BatchGet, BatchWrite, Client, Error, Expression, Kind, Method, NewTable, ReadOptions,
    ReturnConsumedCapacity, ReturnValues, StreamViewType, WriteOptions,
};
use watertable::model::{AttributeValue, Item, KeyType, TableName};
use watertable::rpc::wire::v1;

use super::cluster::Cluster;
use super::history::{self, verified};
use super::sample::{self, b, item, key, n, name, s, schema};

/// Three nodes and a table in use.
pub async fn begin(new: &NewTable) -> (Cluster, Client) {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    client.create_table(new).await.expect("a table is created");
    cluster.everywhere(&new.name).await;
    (cluster, client)
}

/// A call with a message as it is, to any node.
pub async fn call<A: Message + Default>(
    client: &Client,
    method: Method,
    request: &impl Message,
) -> Result<A, Error> {
    let answer = client.send_prepared_anywhere(method, request.encode_to_vec().into()).await?;
    Ok(A::decode(answer).expect("an answer"))
}

/// Values that expressions of these tests use, each by its name.
fn value_of(placeholder: &str) -> AttributeValue {
    let strings = |members: &[&str]| AttributeValue::Ss(members.iter().map(ToString::to_string).collect());
    match placeholder {
        ":zero" => n(0),
        ":one" => n(1),
        ":two" => n(2),
        ":three" => n(3),
        ":ten" => n("10.5"),
        ":x" => s("x"),
        ":y" => s("y"),
        ":a" => s("a"),
        ":berlin" => s("Berlin"),
        ":map" => s("M"),
        ":true" => AttributeValue::Bool(true),
        ":null" => AttributeValue::Null,
        ":list" => AttributeValue::L(vec![s("end"), n(9)]),
        ":set" => strings(&["a", "c"]),
        ":all" => strings(&["a", "b", "c"]),
        ":numbers" => AttributeValue::Ns([n_of(1), n_of(7)].into()),
        ":empty" => AttributeValue::M([].into()),
        other => panic!("no value for {other}"),
    }
}

fn n_of(number: u64) -> watertable::model::Number {
    number.into()
}

/// An expression with the values of its placeholders.
pub fn expression(text: &str) -> Expression {
    let word = |letter: char| !(letter.is_ascii_alphanumeric() || letter == ':' || letter == '#');
    let placeholders = text.split(word).filter(|token| token.starts_with(':'));
    placeholders.fold(Expression::new(text), |expression, key| expression.value(key, value_of(key)))
}

fn guarded(condition: Expression) -> WriteOptions {
    WriteOptions { condition: Some(condition), show_rejected: true, ..WriteOptions::default() }
}

fn returning(return_values: ReturnValues) -> WriteOptions {
    WriteOptions { return_values, ..WriteOptions::default() }
}

/// An item with something of everything.
fn rich(id: &str) -> Item {
    let place = item([("city", s("Berlin")), ("zone", n(1))]);
    item([
        ("id", s(id)),
        ("n", n(1)),
        ("s", s("x")),
        ("tags", value_of(":set")),
        ("place", AttributeValue::M(place.into_map())),
        ("l", AttributeValue::L(vec![n(1), n(2), n(3)])),
        ("seal", b(b"\0\xff")),
    ])
}

/// What holds of `rich`, and what does not.
const HOLDS: &[&str] = &[
    "attribute_exists(id)",
    "attribute_exists(place.city) AND attribute_not_exists(place.street)",
    "attribute_not_exists(zip)",
    "n = :one",
    "n < :two AND s = :x",
    ":one <= n",
    "n BETWEEN :one AND :two",
    "s IN (:y, :x)",
    "begins_with(s, :x)",
    "contains(tags, :a)",
    "contains(l, :three)",
    "size(l) = :three",
    "size(s) < :two OR s = :y",
    "attribute_type(place, :map)",
    "place.city = :berlin",
    "l[1] = :two",
    "NOT (n > :two OR s = :y)",
    "zip <> :one",
    "n < l[2]",
];
const FAILS: &[&str] = &[
    "attribute_not_exists(id)",
    "n = :x",
    "n > :one",
    "zip = zap",
    "s = :x AND n = :two",
    "begins_with(s, :y)",
    "contains(tags, :y)",
    "size(n) = :one",
    "l[7] = :one",
    "n IN (:two, :three)",
    "attribute_type(s, :map)",
    "place.city.deep = :one",
];

#[tokio::test]
async fn conditions_guard_every_kind_of_write() {
    let new = sample::table("guarded", Some(StreamViewType::NewAndOldImages));
    let (cluster, client) = begin(&new).await;
    for at in 0..3 {
        let (id, writer) = (format!("item-{at}"), cluster.client_of(at));
        let (whole, its_key) = (rich(&id), key(id.as_str()));
        client.put_item(&new.name, &whole, WriteOptions::default()).await.expect("it is put");
        for text in HOLDS {
            let options = || guarded(expression(text));
            writer.put_item(&new.name, &whole, options()).await.unwrap_or_else(|e| panic!("{text}: {e}"));
            let update = Some(Expression::new("SET n = n"));
            let updated = writer.update_item(&new.name, &its_key, update, options()).await;
            updated.unwrap_or_else(|error| panic!("{text}: {error}"));
            let other = Some(expression("SET n = :two"));
            let not = || guarded(expression(&format!("NOT ({text})")));
            let refused = [
                writer.put_item(&new.name, &its_key, not()).await,
                writer.update_item(&new.name, &its_key, other, not()).await,
                writer.delete_item(&new.name, &its_key, not()).await,
            ];
            refused.into_iter().for_each(|refused| is_refused(text, refused.err(), Some(&whole)));
        }
        for text in FAILS {
            let options = || guarded(expression(text));
            let update = || Some(expression("SET n = :two"));
            let refused = [
                writer.put_item(&new.name, &its_key, options()).await,
                writer.update_item(&new.name, &its_key, update(), options()).await,
                writer.delete_item(&new.name, &its_key, options()).await,
            ];
            refused.into_iter().for_each(|refused| is_refused(text, refused.err(), Some(&whole)));
            let unseen = WriteOptions { show_rejected: false, ..options() };
            is_refused(text, writer.delete_item(&new.name, &its_key, unseen).await.err(), None);
            // Of an item that is not there, nothing is shown.
            let nowhere =
                writer.delete_item(&new.name, &key("nowhere"), guarded(expression("n = :one"))).await;
            is_refused(text, nowhere.err(), None);
        }
        assert_eq!(client.get_item(&new.name, &its_key, true).await.expect("a read"), Some(whole.clone()));
        let deleted = writer.delete_item(&new.name, &its_key, guarded(expression("n = :one"))).await;
        deleted.expect("it is deleted");
    }
    // The puts and the deletions: nothing else is in the stream.
    let history = verified(&client, &new.name).await;
    for at in 0..3 {
        let item_key = new.key.key_of_key(&key(format!("item-{at}"))).expect("a key");
        assert_eq!(history.by_key(&new.key)[&item_key].len(), 2, "item-{at}");
    }
}

fn is_refused(what: &str, error: Option<Error>, shown: Option<&Item>) {
    let error = error.unwrap_or_else(|| panic!("{what}: it was done"));
    assert!(error.is_condition_failed(), "{what}: {error}");
    assert_eq!((error.kind(), error.message()), (Kind::Rejected, "The conditional request failed"), "{what}");
    assert_eq!(error.item(), shown, "{what}");
}

#[tokio::test]
async fn writes_return_what_is_asked_for() {
    use ReturnValues::{AllNew, AllOld, Unspecified, UpdatedNew, UpdatedOld};
    let new = sample::table("returning", Some(StreamViewType::NewAndOldImages));
    let (_cluster, client) = begin(&new).await;
    let table = &new.name;
    let (whole, its_key) = (rich("a"), key("a"));
    for (returns, expected) in [(Unspecified, None), (AllOld, Some(rich("a")))] {
        let put = client.put_item(table, &its_key, returning(AllOld)).await.expect("it is put");
        assert_eq!(put.attributes, None, "nothing was there");
        client.put_item(table, &whole, WriteOptions::default()).await.expect("it is put");
        let put = client.put_item(table, &its_key, returning(returns)).await.expect("it is put");
        assert_eq!(put.attributes, expected);
        client.put_item(table, &whole, WriteOptions::default()).await.expect("it is put");
        let deleted = client.delete_item(table, &its_key, returning(returns)).await.expect("it is deleted");
        assert_eq!(deleted.attributes, expected);
        let deleted = client.delete_item(table, &its_key, returning(returns)).await.expect("no error");
        assert_eq!(deleted.attributes, None);
    }
    let update = "SET n = n + :two, place.city = :x, l[1] = :x REMOVE seal ADD hits :one DELETE tags :set";
    let place = |city: &str| AttributeValue::M(item([("city", s(city)), ("zone", n(1))]).into_map());
    let part = |city: &str| AttributeValue::M(item([("city", s(city))]).into_map());
    let list = |second| AttributeValue::L(vec![n(1), second, n(3)]);
    let one = |value| AttributeValue::L(vec![value]);
    let after = item([
        ("id", s("a")),
        ("n", n(3)),
        ("s", s("x")),
        ("place", place("x")),
        ("l", list(s("x"))),
        ("hits", n(1)),
    ]);
    let touched = [
        ("l", one(n(2))),
        ("n", n(1)),
        ("place", part("Berlin")),
        ("seal", b(b"\0\xff")),
        ("tags", value_of(":set")),
    ];
    let changed = item([("hits", n(1)), ("l", one(s("x"))), ("n", n(3)), ("place", part("x"))]);
    for (returns, expected) in [
        (Unspecified, None),
        (AllOld, Some(whole.clone())),
        (AllNew, Some(after.clone())),
        (UpdatedOld, Some(item(touched))),
        (UpdatedNew, Some(changed)),
    ] {
        client.put_item(table, &whole, WriteOptions::default()).await.expect("it is put");
        let updated = client.update_item(table, &its_key, Some(expression(update)), returning(returns)).await;
        assert_eq!(updated.expect("it is updated").attributes, expected, "{returns:?}");
        assert_eq!(client.get_item(table, &its_key, true).await.expect("a read"), Some(after.clone()));
        // Of an item that is not there, an update shows what it made.
        let made = item([("id", s("new")), ("n", n(1))]);
        let made = match returns {
            AllNew => Some(made),
            UpdatedNew => Some(item([("n", n(1))])),
            Unspecified | AllOld | UpdatedOld => None,
        };
        let set = Some(expression("SET n = :one"));
        let updated = client.update_item(table, &key("new"), set, returning(returns)).await;
        assert_eq!(updated.expect("it is made").attributes, made, "{returns:?}");
        client.delete_item(table, &key("new"), WriteOptions::default()).await.expect("it is deleted");
    }
    verified(&client, table).await;
}

#[tokio::test]
async fn updates_do_what_their_expressions_say() {
    let new = sample::table("updated", Some(StreamViewType::NewAndOldImages));
    let (cluster, client) = begin(&new).await;
    let strings = |members: &[&str]| AttributeValue::Ss(members.iter().map(ToString::to_string).collect());
    let list = |values: &[AttributeValue]| AttributeValue::L(values.to_vec());
    // Each update, and what it makes of the attributes it names; `None`: they are gone. All in a row on one item.
    type Effects = Vec<(&'static str, Option<AttributeValue>)>;
    let story: Vec<(&str, Effects)> = vec![
        ("SET n = :one, s = :x", vec![("n", Some(n(1))), ("s", Some(s("x")))]),
        ("SET n = n + :ten", vec![("n", Some(n("11.5")))]),
        ("SET n = n - :two, m = n", vec![("n", Some(n("9.5"))), ("m", Some(n("11.5")))]),
        ("SET n = :ten - :ten", vec![("n", Some(n(0)))]),
        ("SET n = m, m = n", vec![("n", Some(n("11.5"))), ("m", Some(n(0)))]),
        ("SET l = :list", vec![("l", Some(list(&[s("end"), n(9)])))]),
        ("SET l = list_append(:list, l)", vec![("l", Some(list(&[s("end"), n(9), s("end"), n(9)])))]),
        (
            "SET l[9] = :true, l[0] = :x",
            vec![("l", Some(list(&[s("x"), n(9), s("end"), n(9), value_of(":true")])))],
        ),
        ("REMOVE l[0], l[2]", vec![("l", Some(list(&[n(9), n(9), value_of(":true")])))]),
        ("SET c = if_not_exists(c, :zero) + :one", vec![("c", Some(n(1)))]),
        ("SET c = if_not_exists(c, :zero) + :one", vec![("c", Some(n(2)))]),
        (
            "SET k = list_append(if_not_exists(k, :list), :list)",
            vec![("k", Some(list(&[s("end"), n(9), s("end"), n(9)])))],
        ),
        ("SET place = :empty", vec![("place", Some(value_of(":empty")))]),
        (
            "SET place.city = :berlin",
            vec![("place", Some(AttributeValue::M(item([("city", s("Berlin"))]).into_map())))],
        ),
        ("REMOVE place.city, s, nothing", vec![("place", Some(value_of(":empty"))), ("s", None)]),
        (
            "ADD c :ten, fresh :two, t :set",
            vec![("c", Some(n("12.5"))), ("fresh", Some(n(2))), ("t", Some(strings(&["a", "c"])))],
        ),
        ("ADD t :all", vec![("t", Some(strings(&["a", "b", "c"])))]),
        ("DELETE t :set", vec![("t", Some(strings(&["b"])))]),
        ("DELETE t :all", vec![("t", None)]),
        ("ADD numbers :numbers", vec![("numbers", Some(value_of(":numbers")))]),
        ("REMOVE n SET o = n ADD m :one", vec![("n", None), ("o", Some(n("11.5"))), ("m", Some(n(1)))]),
    ];
    let mut model = key("story");
    let records = story.len();
    for (at, (text, effects)) in story.into_iter().enumerate() {
        for (attribute, value) in effects {
            match value {
                Some(value) => _ = model.insert(name(attribute), value),
                None => _ = model.remove(attribute),
            }
        }
        let update = Some(expression(text));
        let writer = cluster.client_of(at % 3);
        let its_key = key("story");
        let updated = writer.update_item(&new.name, &its_key, update, returning(ReturnValues::AllNew));
        let updated = updated.await.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(updated.attributes.as_ref(), Some(&model), "{text}");
    }
    assert_eq!(client.get_item(&new.name, &key("story"), true).await.expect("a read"), Some(model));
    let history = verified(&client, &new.name).await;
    let item_key = new.key.key_of_key(&key("story")).expect("a key");
    assert_eq!(history.by_key(&new.key)[&item_key].len(), records, "a record for each update");
}

#[tokio::test]
async fn what_changes_nothing_leaves_no_record() {
    let new = sample::table("still", Some(StreamViewType::NewAndOldImages));
    let (_cluster, client) = begin(&new).await;
    let table = &new.name;
    let (whole, its_key) = (rich("a"), key("a"));
    client.put_item(table, &whole, WriteOptions::default()).await.expect("it is put");
    let mut same = whole.clone();
    same.insert(name("n"), n("1.0"));
    client.put_item(table, &same, WriteOptions::default()).await.expect("it is put");
    client.batch_write(&[BatchWrite::Put(table.clone(), same)]).await.expect("it is put");
    for text in [
        "SET n = :one",
        "SET n = n + :zero",
        "SET s = s, place.city = :berlin",
        "SET n = if_not_exists(n, :two)",
        "REMOVE nothing, place.nothing, l[7]",
        "ADD n :zero",
        "ADD tags :set",
        "DELETE nothing :set",
    ] {
        let updated = client.update_item(table, &its_key, Some(expression(text)), WriteOptions::default());
        updated.await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    client.update_item(table, &its_key, None, WriteOptions::default()).await.expect("it is there");
    for text in ["REMOVE n", "DELETE tags :set"] {
        let other = key("b");
        let updated = client.update_item(table, &other, Some(expression(text)), WriteOptions::default());
        updated.await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    // These are refused when the item is looked at.
    for text in [
        "SET n = nothing",
        "SET nothing.a = :one",
        "SET n = s + :one",
        "ADD s :one",
        "SET n = list_append(n, :list)",
    ] {
        let refused =
            client.update_item(table, &its_key, Some(expression(text)), WriteOptions::default()).await;
        assert_eq!(refused.map_err(|error| error.kind()), Err(Kind::Invalid), "{text}");
    }
    client.delete_item(table, &key("b"), WriteOptions::default()).await.expect("nothing is there");
    client.batch_write(&[BatchWrite::Delete(table.clone(), key("b"))]).await.expect("nothing is there");
    let failing = guarded(expression("n = :two"));
    client.delete_item(table, &its_key, failing.clone()).await.expect_err("the condition fails");
    client.put_item(table, &its_key, failing).await.expect_err("the condition fails");
    assert_eq!(client.get_item(table, &its_key, true).await.expect("a read"), Some(whole));
    assert_eq!(client.get_item(table, &key("b"), true).await.expect("a read"), None);
    let history = verified(&client, table).await;
    let of =
        |id: &str| history.by_key(&new.key).get(&new.key.key_of_key(&key(id)).expect("a key")).map(Vec::len);
    assert_eq!((of("a"), of("b")), (Some(1), None));
}

#[tokio::test]
async fn batches_take_several_tables_and_no_duplicates() {
    let things = sample::table("things", Some(StreamViewType::NewAndOldImages));
    let (cluster, client) = begin(&things).await;
    let numbers = NewTable { key: schema(("id", KeyType::N), None), ..sample::table("numbers", None) };
    client.create_table(&numbers).await.expect("a table is created");
    cluster.everywhere(&numbers.name).await;
    let thing = |at: usize| item([("id", s(format!("t{at}"))), ("at", n(at)), ("text", s("t"))]);
    let number = |at: usize| item([("id", n(at)), ("at", n(at))]);
    for at in 0..8 {
        let first = (at * 12..at * 12 + 12).map(|at| BatchWrite::Put(things.name.clone(), thing(at)));
        let second = (at * 12..at * 12 + 12).map(|at| BatchWrite::Put(numbers.name.clone(), number(at)));
        client.batch_write(&first.chain(second).collect::<Vec<_>>()).await.expect("they are put");
    }
    assert_eq!(history::scan(&client, &things.name, &things.key).await.len(), 96);
    assert_eq!(history::scan(&client, &numbers.name, &numbers.key).await.len(), 96);
    // A hundred keys of two tables, some of which nothing has; two attributes of each item of one.
    let get = |table: &TableName, keys: Vec<Item>, projection| BatchGet {
        table: table.clone(),
        keys,
        consistent: true,
        projection,
    };
    let projection = Some(Expression::new("#a, id").name("#a", "at"));
    let gets = [
        get(&things.name, (0..50).map(|at| key(format!("t{}", at * 2))).collect(), projection),
        get(&numbers.name, (0..50).map(|at| item([("id", n(at * 3))])).collect(), None),
    ];
    let mut found = client.batch_get(&gets).await.expect("they are read");
    found.sort_by_key(|(table, item)| (table.clone(), format!("{item:?}")));
    let bare = |at: usize| item([("id", s(format!("t{at}"))), ("at", n(at))]);
    let mut expected: Vec<_> = (0..48).map(|at| (things.name.clone(), bare(at * 2))).collect();
    expected.extend((0..32).map(|at| (numbers.name.clone(), number(at * 3))));
    expected.sort_by_key(|(table, item)| (table.clone(), format!("{item:?}")));
    assert_eq!(found, expected);

    let twice = "Provided list of item keys contains duplicates";
    let equal = [item([("id", n("7"))]), item([("id", n("7.00"))])];
    let error = client.batch_get(&[get(&numbers.name, equal.to_vec(), None)]).await.expect_err("a key twice");
    assert_eq!((error.kind(), error.message()), (Kind::Invalid, twice));
    let [one, other] = equal;
    let writes =
        [BatchWrite::Put(numbers.name.clone(), one), BatchWrite::Delete(numbers.name.clone(), other)];
    let error = client.batch_write(&writes).await.expect_err("an item twice");
    assert_eq!((error.kind(), error.message()), (Kind::Invalid, twice));
    let many: Vec<_> =
        (0..26).map(|at| BatchWrite::Delete(things.name.clone(), key(format!("t{at}")))).collect();
    let error = client.batch_write(&many).await.expect_err("26 writes");
    assert_eq!(error.message(), "Too many items requested for the BatchWriteItem call");
    let gets = [get(&things.name, (0..101).map(|at| key(format!("t{at}"))).collect(), None)];
    let error = client.batch_get(&gets).await.expect_err("101 keys");
    assert_eq!(error.message(), "Too many items requested for the BatchGetItem call");
    let bad = [get(&things.name, vec![key("t1")], Some(Expression::new("id, id")))];
    assert_eq!(client.batch_get(&bad).await.expect_err("a bad projection").kind(), Kind::Invalid);
    // An item that is wrong stops all others.
    let writes =
        [BatchWrite::Delete(things.name.clone(), key("t1")), BatchWrite::Put(things.name.clone(), key(""))];
    assert_eq!(client.batch_write(&writes).await.expect_err("a bad item").kind(), Kind::Invalid);
    assert_eq!(history::scan(&client, &things.name, &things.key).await.len(), 96);
    client.batch_write(&many[..25]).await.expect("they are deleted");
    assert_eq!(history::scan(&client, &things.name, &things.key).await.len(), 71);
    verified(&client, &things.name).await;
}

/// An item of so many bytes, as DynamoDB counts.
fn sized(id: &str, bytes: usize) -> Item {
    let room = bytes - "id".len() - id.len() - "x".len();
    let whole = item([("id", s(id)), ("x", s("x".repeat(room)))]);
    assert_eq!(whole.size(), bytes);
    whole
}

#[tokio::test]
async fn capacity_is_counted_in_dynamodbs_units() {
    let new = sample::table("counted", None);
    let (_cluster, client) = begin(&new).await;
    let table = &new.name;
    let counting = || WriteOptions { capacity: ReturnConsumedCapacity::Total, ..WriteOptions::default() };
    let units = |capacity: Option<v1::ConsumedCapacity>| {
        let capacity = capacity.expect("it was asked for");
        assert_eq!((capacity.table_name.as_str(), capacity.table_capacity_units), ("counted", None));
        capacity.capacity_units
    };
    // A write: the larger of before and after, by 1 KB.
    for (bytes, expected) in
        [(100, 1.0), (1024, 1.0), (1025, 2.0), (3000, 3.0), (10, 3.0), (10, 1.0), (9000, 9.0)]
    {
        let put = client.put_item(table, &sized("a", bytes), counting()).await.expect("it is put");
        assert_eq!(units(put.capacity), expected, "a put of {bytes} bytes");
    }
    let set = Some(expression("SET n = :one"));
    let updated = client.update_item(table, &key("a"), set, counting()).await.expect("it is updated");
    assert_eq!(units(updated.capacity), 9.0, "the whole item counts");
    // A read: the whole item, by 4 KB; half of it if it need not be consistent.
    for (id, consistent, expected) in
        [("a", true, 3.0), ("a", false, 1.5), ("b", true, 1.0), ("b", false, 0.5)]
    {
        let projection = Some(Expression::new("id"));
        let options = ReadOptions { consistent, projection, capacity: ReturnConsumedCapacity::Total };
        let got = client.get_item_with(table, &key(id), options).await.expect("a read");
        assert_eq!(units(got.capacity), expected, "a read of {id}, consistent: {consistent}");
    }
    let deleted = client.delete_item(table, &key("a"), counting()).await.expect("it is deleted");
    assert_eq!(units(deleted.capacity), 9.0);
    let deleted = client.delete_item(table, &key("a"), counting()).await.expect("nothing is there");
    assert_eq!(units(deleted.capacity), 1.0);
    let parts = WriteOptions { capacity: ReturnConsumedCapacity::Indexes, ..WriteOptions::default() };
    let put = client.put_item(table, &sized("a", 2000), parts).await.expect("it is put");
    let capacity = put.capacity.expect("it was asked for");
    assert_eq!((capacity.capacity_units, capacity.table_capacity_units), (2.0, Some(2.0)));
    let put = client.put_item(table, &sized("a", 2000), WriteOptions::default()).await.expect("it is put");
    assert_eq!(put.capacity, None, "it was not asked for");
    batches_are_counted(&client, table).await;
}

/// In batches each item counts by itself.
async fn batches_are_counted(client: &Client, table: &TableName) {
    let wire = watertable::rpc::item::Item::encode;
    let put = |whole: &Item| v1::WriteRequest {
        table_name: table.to_string(),
        request: Some(v1::write_request::Request::Put(wire(whole))),
    };
    let request = v1::BatchWriteItemRequest {
        requests: vec![put(&sized("a", 100)), put(&sized("b", 1500)), put(&sized("c", 4097))],
        return_consumed_capacity: ReturnConsumedCapacity::Total.into(),
    };
    let answer: v1::BatchWriteItemResponse =
        call(client, Method::BATCH_WRITE_ITEM, &request).await.expect("they are put");
    let units: Vec<f64> = answer.consumed_capacity.iter().map(|each| each.capacity_units).collect();
    assert_eq!(units, [2.0 + 2.0 + 5.0], "2,000 bytes were there of the first");
    for (consistent_read, expected) in [(true, 1.0 + 1.0 + 2.0 + 1.0), (false, 2.5)] {
        let keys = v1::KeysOfTable {
            table_name: table.to_string(),
            keys: ["a", "b", "c", "nothing"].map(|id| wire(&key(id))).into(),
            consistent_read,
            ..Default::default()
        };
        let return_consumed_capacity = ReturnConsumedCapacity::Total.into();
        let request = v1::BatchGetItemRequest { requests: vec![keys], return_consumed_capacity };
        let answer: v1::BatchGetItemResponse =
            call(client, Method::BATCH_GET_ITEM, &request).await.expect("they are read");
        let units: Vec<f64> = answer.consumed_capacity.iter().map(|each| each.capacity_units).collect();
        assert_eq!(units, [expected], "consistent: {consistent_read}");
    }
}
