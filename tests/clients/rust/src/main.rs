//! The AWS SDK for Rust: the life of a table and of its stream.

mod ledger;
mod session;
mod stream;

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    operation::{
        create_table::CreateTableError, delete_item::DeleteItemError, describe_table::DescribeTableError,
        get_item::GetItemError, put_item::PutItemError, update_item::UpdateItemError,
    },
    primitives::Blob,
    types::{
        AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, ReturnValue,
        ReturnValuesOnConditionCheckFailure::AllOld, WriteRequest, error::ConditionalCheckFailedException,
    },
};
use ledger::{Item, Ledger, item, key_of, n, s};
use session::{DEADLINE, Session, refused};

fn key(station: &str, minute: u32) -> Item {
    item([("station", s(station)), ("minute", n(minute))])
}

fn with<const N: usize>(mut base: Item, more: [(&str, AttributeValue); N]) -> Item {
    base.extend(item(more));
    base
}

fn report(minute: u32) -> Item {
    with(key("HAM", minute), [("version", n(1)), ("wind", n(f64::from(minute) / 4.0))])
}

fn wire(item: &Item) -> HashMap<String, AttributeValue> {
    item.clone().into_iter().collect()
}

fn number(item: &Item, name: &str) -> u32 {
    let value = item.get(name).and_then(|value| value.as_n().ok());
    value.map_or(0, |text| text.parse().expect("the test wrote a whole number"))
}

fn put_failed(error: &PutItemError) -> Option<&ConditionalCheckFailedException> {
    if let PutItemError::ConditionalCheckFailedException(failed) = error { Some(failed) } else { None }
}

fn update_failed(error: &UpdateItemError) -> Option<&ConditionalCheckFailedException> {
    if let UpdateItemError::ConditionalCheckFailedException(failed) = error { Some(failed) } else { None }
}

fn delete_failed(error: &DeleteItemError) -> Option<&ConditionalCheckFailedException> {
    if let DeleteItemError::ConditionalCheckFailedException(failed) = error { Some(failed) } else { None }
}

impl Session {
    // ---- writes

    async fn create(&self, ledger: &mut Ledger, item: Item) -> Result<()> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(wire(&item)));
        let put = put.condition_expression("attribute_not_exists(station)");
        let answer = put.return_values_on_condition_check_failure(AllOld).send().await;
        self.own(answer, put_failed, Some(&item))?;
        ledger.put(item)
    }

    /// An increment: the item with one visit more and the next version.
    async fn count_visit(&self, ledger: &mut Ledger, key: &Item) -> Result<()> {
        let old = ledger.items.get(&key_of(key)?).context("no item to count at")?.clone();
        let (version, visits) = (number(&old, "version"), number(&old, "visits"));
        let new = with(old, [("version", n(version + 1)), ("visits", n(visits + 1))]);
        let update = self.client.update_item().table_name(&self.table).set_key(Some(wire(key)));
        let answer = update
            .update_expression("SET version = :next ADD visits :one")
            .condition_expression("version = :version")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":version", n(version))
            .expression_attribute_values(":next", n(version + 1))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        if let Some(answer) = self.own(answer, update_failed, Some(&new))? {
            ensure!(answer.attributes == Some(wire(&new)), "{answer:?} instead of {new:?}");
        }
        ledger.put(new)
    }

    async fn remove(&self, ledger: &mut Ledger, key: &Item) -> Result<()> {
        let old = ledger.items.get(&key_of(key)?).context("no item to remove")?;
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(wire(key)));
        let answer = delete
            .condition_expression("version = :version")
            .expression_attribute_values(":version", n(number(old, "version")))
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        self.own(answer, delete_failed, None)?;
        ledger.delete(&key_of(key)?);
        Ok(())
    }

    /// What comes back unprocessed is sent again. These keys are written by nothing else meanwhile.
    async fn write_batch(&self, ledger: &mut Ledger, puts: Vec<Item>, deletes: Vec<Item>) -> Result<()> {
        let mut requests = Vec::new();
        for item in &puts {
            let put = PutRequest::builder().set_item(Some(wire(item))).build()?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        for key in &deletes {
            let delete = DeleteRequest::builder().set_key(Some(wire(key))).build()?;
            requests.push(WriteRequest::builder().delete_request(delete).build());
        }
        let begin = std::time::Instant::now();
        for chunk in requests.chunks(25) {
            let mut left = HashMap::from([(self.table.clone(), chunk.to_vec())]);
            while !left.is_empty() {
                ensure!(begin.elapsed() < DEADLINE, "unprocessed to the end: {left:?}");
                let answer = self.client.batch_write_item().set_request_items(Some(left)).send().await?;
                left = answer.unprocessed_items.context("no unprocessed items, not even none")?;
            }
        }
        for item in puts {
            ledger.put(item)?;
        }
        for key in deletes {
            ledger.delete(&key_of(&key)?);
        }
        Ok(())
    }

    async fn fill(&self, ledger: &mut Ledger) -> Result<()> {
        let set = |values: [&str; 2]| values.map(str::to_owned).to_vec();
        let place =
            HashMap::from([("lat".to_owned(), n(52.36)), ("deep".to_owned(), AttributeValue::L(vec![n(1)]))]);
        let more = [
            ("version", n(1)),
            ("sky", AttributeValue::Null(true)),
            ("open", AttributeValue::Bool(true)),
            ("raw", AttributeValue::B(Blob::new([0, 255]))),
            ("level", n(-0.00125)),
            ("runways", AttributeValue::Ss(set(["07L", "07R"]))),
            ("heights", AttributeValue::Ns(set(["46", "48"]))),
            ("keys", AttributeValue::Bs(vec![Blob::new("a"), Blob::new("b")])),
            ("place", AttributeValue::M(place)),
        ];
        self.create(ledger, with(key("BER", 1), more)).await?;
        self.write_batch(ledger, (0..60).map(report).collect(), vec![]).await?;
        self.count_visit(ledger, &key("BER", 1)).await?;
        self.remove(ledger, &key("HAM", 0)).await?;
        self.write_batch(ledger, vec![], vec![key("HAM", 1), key("HAM", 2)]).await
    }

    /// Each kind of change, and each kind of write that changes nothing.
    async fn write_with_stream(&self, ledger: &mut Ledger) -> Result<()> {
        let muc = key("MUC", 1);
        self.count_visit(ledger, &key("BER", 1)).await?;
        self.create(ledger, with(muc.clone(), [("version", n(1)), ("height", n(1.5))])).await?;
        // The same item in other words is no change.
        let same = with(muc.clone(), [("version", n("1.0")), ("height", n("15e-1"))]);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(wire(&same)));
        put.condition_expression("version = :v").expression_attribute_values(":v", n(1)).send().await?;
        for _ in 0..3 {
            self.count_visit(ledger, &muc).await?;
        }
        let absent = self.client.delete_item().table_name(&self.table).set_key(Some(wire(&key("FRA", 404))));
        absent.send().await?;
        self.remove(ledger, &muc).await?;
        self.create(ledger, with(muc.clone(), [("version", n(10))])).await?;
        self.write_batch(ledger, (100..130).map(report).collect(), vec![key("HAM", 3)]).await?;
        self.count_visit(ledger, &muc).await
    }

    // ---- reads

    async fn check_reads(&self, ledger: &Ledger) -> Result<()> {
        for absent in [false, true] {
            let key = key("BER", if absent { 2 } else { 1 });
            let get = self
                .client
                .get_item()
                .table_name(&self.table)
                .set_key(Some(wire(&key)))
                .consistent_read(true);
            let found = get.send().await?.item;
            ensure!(found == ledger.items.get(&key_of(&key)?).map(wire), "{found:?}");
        }
        let scan = self.client.scan().table_name(&self.table).consistent_read(true).limit(25);
        let mut items = scan.into_paginator().items().send();
        let mut found = std::collections::BTreeMap::new();
        while let Some(item) = items.try_next().await? {
            let item: Item = item.into_iter().collect();
            ensure!(found.insert(key_of(&item)?, item).is_none(), "an item came twice");
        }
        ensure!(found == ledger.items, "{found:#?}\ninstead of\n{:#?}", ledger.items);
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(7);
        let query = query
            .key_condition_expression("station = :s AND #m BETWEEN :from AND :to")
            .expression_attribute_names("#m", "minute")
            .expression_attribute_values(":s", s("HAM"))
            .expression_attribute_values(":from", n(9))
            .expression_attribute_values(":to", n(40));
        let mut items = query.into_paginator().items().send();
        for minute in (9..=40).rev() {
            let found = items.try_next().await?;
            ensure!(found == Some(wire(&report(minute))), "{found:?} instead of {minute}");
        }
        ensure!(items.try_next().await?.is_none(), "the query goes on");
        self.check_batch_get(ledger).await
    }

    async fn check_batch_get(&self, ledger: &Ledger) -> Result<()> {
        let keys = (0..60).map(|minute| wire(&key("HAM", minute))).collect();
        let asked = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
        let (mut left, mut found) = (HashMap::from([(self.table.clone(), asked)]), 0);
        while !left.is_empty() {
            let answer = self.client.batch_get_item().set_request_items(Some(left)).send().await?;
            for item in answer.responses.context("no responses")?.remove(&self.table).unwrap_or_default() {
                let item: Item = item.into_iter().collect();
                ensure!(ledger.items.get(&key_of(&item)?) == Some(&item), "{item:?}");
                found += 1;
            }
            left = answer.unprocessed_keys.context("no unprocessed keys, not even none")?;
        }
        let expected =
            (0..60).filter(|minute| ledger.items.contains_key(&("HAM".to_owned(), minute.to_string())));
        ensure!(found == expected.count(), "{found} items");
        Ok(())
    }

    // ---- failures

    async fn check_failures(&self, ledger: &Ledger) -> Result<()> {
        let ber = key("BER", 1);
        let put = |item: &Item| self.client.put_item().table_name(&self.table).set_item(Some(wire(item)));
        let guarded =
            put(&ber).condition_expression("version = :v").expression_attribute_values(":v", n(4711));
        let asked = guarded.clone().return_values_on_condition_check_failure(AllOld);
        let text = "The conditional request failed";
        let error = refused(asked.send(), text).await?;
        let failed = put_failed(&error).context("another error")?;
        ensure!(failed.item() == ledger.items.get(&key_of(&ber)?).map(wire).as_ref(), "{failed:?}");
        let error = refused(guarded.send(), text).await?;
        ensure!(put_failed(&error).is_some_and(|failed| failed.item().is_none()), "{error:?}");

        let gone = format!("{}-gone", self.table);
        let get = |table: &str, key: &Item| self.client.get_item().table_name(table).set_key(Some(wire(key)));
        let error = refused(get(&gone, &ber).send(), "Requested resource not found").await?;
        ensure!(matches!(error, GetItemError::ResourceNotFoundException(_)), "{error:?}");
        let describe = self.client.describe_table().table_name(&gone);
        let error = refused(describe.send(), &format!("Table: {gone} not found")).await?;
        ensure!(matches!(error, DescribeTableError::ResourceNotFoundException(_)), "{error:?}");
        let again = self.creation()?;
        let error = refused(again.send(), &format!("Table already exists: {}", self.table)).await?;
        ensure!(matches!(error, CreateTableError::ResourceInUseException(_)), "{error:?}");

        // The SDK has no type for this one: there is its name.
        let invalid = Some("ValidationException");
        let empty = with(ber.clone(), [("tags", AttributeValue::Ss(vec![]))]);
        ensure!(refused(put(&empty).send(), "An string set  may not be empty").await?.code() == invalid);
        let update = self.client.update_item().table_name(&self.table).set_key(Some(wire(&ber)));
        let unreadable = update.update_expression("SET = 1").send();
        ensure!(refused(unreadable, "Invalid UpdateExpression: Syntax error").await?.code() == invalid);
        let wrong = with(ber, [("minute", s("1"))]);
        let text = "Type mismatch for key minute expected: N actual: S";
        ensure!(refused(put(&wrong).send(), text).await?.code() == invalid);
        let text = "The provided key element does not match the schema";
        ensure!(refused(get(&self.table, &wrong).send(), text).await?.code() == invalid);
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let session = Session::new(format!("rust-{}", now.as_nanos()))?;
    let mut ledger = Ledger::default();
    session.create_table().await?;
    session.fill(&mut ledger).await?;
    session.check_reads(&ledger).await?;
    let arn = session.set_stream(true).await?;
    ledger.has_stream = true;
    session.write_with_stream(&mut ledger).await?;
    session.check_failures(&ledger).await?;
    let mut open = session.read_open(&arn, ledger.count()).await?;
    ledger.check(&open)?;
    ensure!(session.set_stream(false).await? == arn, "another stream");
    ledger.has_stream = false;
    session.create(&mut ledger, with(key("AFTER", 1), [("version", n(1))])).await?;
    let mut closed = session.read_closed(&arn).await?;
    ledger.check(&closed)?;
    // Record by record the same: what was seen once stays, ids and sequence numbers included.
    for records in [&mut open, &mut closed] {
        records.sort_by(|a, b| a.event_id.cmp(&b.event_id));
    }
    ensure!(open == closed, "{open:#?}\ninstead of\n{closed:#?}");
    session.check_reads(&ledger).await?;
    session.delete_table().await
}
