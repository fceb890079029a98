//! Operations on single items.

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;

use super::{
    parameters::{self, Consumed, Counting, Parameters},
    tables,
};
use crate::{
    catalog::{Catalog, Table},
    expression::ast::Condition,
    model::{
        Item, KeySchema, codec,
        id::{GroupId, TableId},
        limits::ITEM_ENCODED_BYTES_MAX,
    },
    node::{Error, Node},
    partition::{Action, KeyRange, Returns, Write, stored_key},
};

/// A table as an operation found it.
pub(super) struct Target {
    catalog: Arc<Catalog>,
    id: TableId,
}

impl Target {
    /// Finds a table by its name.
    pub async fn find(node: &Node, name: &str) -> Result<Self, Error> {
        let name = tables::name(name)?;
        let (catalog, id) = node.table(&name).await?;
        Ok(Self { catalog, id })
    }

    /// Its id.
    pub fn id(&self) -> TableId {
        self.id
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.catalog.tables[&self.id]
    }

    /// The catalog it was found in.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Its key.
    pub fn schema(&self) -> &KeySchema {
        &self.table().key_schema
    }

    /// The stored key of a `Key` map, and its partition.
    pub fn locate(&self, key: &Item) -> Result<(GroupId, Bytes), Error> {
        let key = stored_key(self.id, &self.schema().key_of_key(key)?);
        Ok((Node::partition(&self.catalog, self.table(), &key)?, key))
    }

    /// The partition that has the items of one partition key, given the range of their stored keys.
    pub fn group_of(&self, (from, _): &KeyRange) -> Result<GroupId, Error> {
        match from {
            Bound::Included(key) | Bound::Excluded(key) => Node::partition(&self.catalog, self.table(), key),
            Bound::Unbounded => Err(Error::Internal),
        }
    }

    /// The same for a whole item.
    fn locate_item(&self, item: &Item) -> Result<(GroupId, Bytes), Error> {
        item.validate()?;
        let key = stored_key(self.id, &self.schema().key_of_item(item)?);
        Ok((Node::partition(&self.catalog, self.table(), &key)?, key))
    }

    /// A put of an item, given also in its encoding, that depends on nothing and returns nothing.
    pub fn put(&self, item: &Item, encoded: Bytes) -> Result<(GroupId, Write), Error> {
        if encoded.len() > ITEM_ENCODED_BYTES_MAX {
            return Err(crate::model::Error::ItemTooLarge.into());
        }
        let (group, key) = self.locate_item(item)?;
        Ok((group, plain(key, Action::Put { item: encoded })))
    }

    /// A deletion that depends on nothing and returns nothing.
    pub fn delete(&self, key: &Item) -> Result<(GroupId, Write), Error> {
        let (group, key) = self.locate(key)?;
        Ok((group, plain(key, Action::Delete)))
    }
}

fn plain(key: Bytes, action: Action) -> Write {
    Write { key, action, condition: None, returns: Returns::Nothing, shows_rejected: false, measures: false }
}

/// What a write asks for besides its item.
#[derive(Debug, Default)]
pub(super) struct WriteAsk {
    pub parameters: Option<Box<Parameters>>,
    pub returns: Returns,
    /// Whether a condition that does not hold shows its item.
    pub shows_rejected: bool,
    pub counting: Counting,
}

/// What a write came to.
pub(super) struct Written {
    /// The attributes asked for, encoded.
    pub attributes: Option<Bytes>,
    pub consumed: Option<Consumed>,
}

/// Puts an item, given also in its encoding.
pub(super) async fn put(
    node: &Node,
    table: &str,
    (item, encoded): (Item, Bytes),
    mut ask: WriteAsk,
) -> Result<Written, Error> {
    let parsed = parameters::parse(ask.parameters.take(), node)?;
    check_old_or_nothing(ask.returns)?;
    let target = Target::find(node, table).await?;
    let meaning = parsed.of(target.schema())?;
    let (group, write) = target.put(&item, encoded)?;
    let write = asking(write, meaning.condition, &ask);
    done(node, table, (group, write), ask.counting).await
}

/// Deletes an item.
pub(super) async fn delete(
    node: &Node,
    table: &str,
    key: &Item,
    mut ask: WriteAsk,
) -> Result<Written, Error> {
    let parsed = parameters::parse(ask.parameters.take(), node)?;
    check_old_or_nothing(ask.returns)?;
    let target = Target::find(node, table).await?;
    let meaning = parsed.of(target.schema())?;
    let (group, write) = target.delete(key)?;
    let write = asking(write, meaning.condition, &ask);
    done(node, table, (group, write), ask.counting).await
}

/// Updates an item.
pub(super) async fn update(
    node: &Node,
    table: &str,
    key: &Item,
    mut ask: WriteAsk,
) -> Result<Written, Error> {
    let parsed = parameters::parse(ask.parameters.take(), node)?;
    let target = Target::find(node, table).await?;
    let meaning = parsed.of(target.schema())?;
    let (group, stored) = target.locate(key)?;
    let mut encoded = Vec::new();
    codec::encode_item(key, &mut encoded);
    let (update, legacy) = meaning.update.unwrap_or_default();
    let write = plain(stored, Action::Update { key: encoded.into(), update, legacy });
    let write = asking(write, meaning.condition, &ask);
    done(node, table, (group, write), ask.counting).await
}

fn check_old_or_nothing(returns: Returns) -> Result<(), Error> {
    match returns {
        Returns::Nothing | Returns::AllOld => Ok(()),
        Returns::AllNew | Returns::UpdatedOld | Returns::UpdatedNew => {
            Err(Error::Invalid("ReturnValues can only be ALL_OLD or NONE".to_owned()))
        }
    }
}

/// The write with what is asked for besides its item.
fn asking(write: Write, condition: Option<Condition>, ask: &WriteAsk) -> Write {
    let measures = ask.counting != Counting::None;
    Write { condition, returns: ask.returns, shows_rejected: ask.shows_rejected, measures, ..write }
}

async fn done(
    node: &Node,
    table: &str,
    (group, write): (GroupId, Write),
    counting: Counting,
) -> Result<Written, Error> {
    let answer = node.write(group, write).await?;
    Ok(Written { attributes: answer.image, consumed: counting.write(table, answer.bytes) })
}

/// What a read of one item found.
pub(super) struct Got {
    /// What was asked for of it, encoded.
    pub item: Option<Bytes>,
    pub consumed: Option<Consumed>,
}

/// Reads one item.
pub(super) async fn get(
    node: &Node,
    table: &str,
    key: &Item,
    consistent: bool,
    (parameters, counting): (Option<Box<Parameters>>, Counting),
) -> Result<Got, Error> {
    let parsed = parameters::parse(parameters, node)?;
    let target = Target::find(node, table).await?;
    let meaning = parsed.of(target.schema())?;
    let (group, key) = target.locate(key)?;
    let found = node.get(group, vec![key], meaning.projection, consistent).await?.pop().flatten();
    let consumed = counting.read(table, found.as_ref().map_or(0, |found| found.bytes), consistent);
    Ok(Got { item: found.map(|found| found.item), consumed })
}
