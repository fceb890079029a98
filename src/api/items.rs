//! Operations on items.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;

use crate::{
    catalog::{Catalog, Table},
    model::{
        AttributeName, Item, TableName, codec,
        id::{GroupId, TableId},
        limits::{BATCH_GET_ITEMS_MAX, BATCH_WRITE_ITEMS_MAX, ITEM_ENCODED_BYTES_MAX, PAGE_BYTES_MAX},
    },
    node::{Error, Node},
    partition::{Action, Condition, Returns, Write, stored_key},
};

/// Bytes of items a batch of reads returns at most (AWS: 16 MB).
const BATCH_GET_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A table as an operation found it.
pub(super) struct Target {
    catalog: Arc<Catalog>,
    id: TableId,
}

impl Target {
    /// Finds a table by its name.
    pub async fn find(node: &Node, name: &str) -> Result<Self, Error> {
        let name = TableName::parse(name)?;
        let (catalog, id) = node.table(&name).await?;
        Ok(Self { catalog, id })
    }

    fn table(&self) -> &Table {
        &self.catalog.tables[&self.id]
    }

    /// The stored key of a `Key` map, and its partition.
    fn locate(&self, key: &Item) -> Result<(GroupId, Bytes), Error> {
        let key = stored_key(self.id, &self.table().key_schema.key_of_key(key)?);
        Ok((Node::partition(&self.catalog, self.table(), &key)?, key))
    }

    /// The same for a whole item.
    fn locate_item(&self, item: &Item) -> Result<(GroupId, Bytes), Error> {
        item.validate()?;
        let key = stored_key(self.id, &self.table().key_schema.key_of_item(item)?);
        Ok((Node::partition(&self.catalog, self.table(), &key)?, key))
    }

    /// A put of an item, given also in its encoding.
    pub fn put(
        &self,
        item: &Item,
        encoded: Bytes,
        condition: Condition,
        returns: Returns,
    ) -> Result<(GroupId, Write), Error> {
        if returns == Returns::AllNew {
            return Err(Error::Invalid("Return values set to invalid value".to_owned()));
        }
        if encoded.len() > ITEM_ENCODED_BYTES_MAX {
            return Err(crate::model::Error::ItemTooLarge.into());
        }
        let (group, key) = self.locate_item(item)?;
        Ok((group, Write { key, action: Action::Put { item: encoded }, condition, returns }))
    }

    /// A deletion.
    pub fn delete(
        &self,
        key: &Item,
        condition: Condition,
        returns: Returns,
    ) -> Result<(GroupId, Write), Error> {
        if returns == Returns::AllNew {
            return Err(Error::Invalid("Return values set to invalid value".to_owned()));
        }
        let (group, key) = self.locate(key)?;
        Ok((group, Write { key, action: Action::Delete, condition, returns }))
    }

    /// An update.
    pub fn update(
        &self,
        key: &Item,
        set: &Item,
        remove: Vec<AttributeName>,
        condition: Condition,
        returns: Returns,
    ) -> Result<(GroupId, Write), Error> {
        let schema = &self.table().key_schema;
        let names = set.iter().map(|(name, _)| name).chain(&remove);
        if let Some(name) = names.into_iter().find(|name| schema.is_key(name.as_str())) {
            return Err(Error::Invalid(format!(
                "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part \
                 of the key"
            )));
        }
        let mut seen = BTreeSet::new();
        let twice = remove.iter().find(|name| set.contains(name.as_str()) || !seen.insert(name.as_str()));
        if let Some(name) = twice {
            return Err(Error::Invalid(format!("Two actions of the update overlap: both are for {name}")));
        }
        for (_, value) in set {
            value.check_nesting()?;
        }
        if set.size() > crate::model::limits::ITEM_BYTES_MAX {
            return Err(crate::model::Error::ItemTooLarge.into());
        }
        let (group, stored) = self.locate(key)?;
        let encode = |item: &Item| {
            let mut bytes = Vec::new();
            codec::encode_item(item, &mut bytes);
            Bytes::from(bytes)
        };
        let action = Action::Update { key: encode(key), set: encode(set), remove };
        Ok((group, Write { key: stored, action, condition, returns }))
    }
}

/// Reads one item.
pub(super) async fn get(
    node: &Node,
    table: &str,
    key: &Item,
    consistent: bool,
) -> Result<Option<Bytes>, Error> {
    let (group, key) = Target::find(node, table).await?.locate(key)?;
    Ok(node.get(group, vec![key], consistent).await?.pop().flatten())
}

/// Does a batch of writes; says for each whether it was done. Fails as a whole only before anything was done.
pub(super) async fn write_batch(node: &Node, writes: Vec<(GroupId, Write)>) -> Result<Vec<bool>, Error> {
    if writes.is_empty() || writes.len() > BATCH_WRITE_ITEMS_MAX {
        return Err(Error::Invalid(match writes.len() {
            0 => "The batch write request list for a table cannot be null or empty".to_owned(),
            _ => "Too many items requested for the BatchWriteItem call".to_owned(),
        }));
    }
    let distinct: BTreeSet<&Bytes> = writes.iter().map(|(_, write)| &write.key).collect();
    if distinct.len() < writes.len() {
        return Err(Error::Invalid("Provided list of item keys contains duplicates".to_owned()));
    }
    let results = node.write_many(writes).await;
    // Puts and deletes can be repeated, so an unknown one is handed back like one that did not happen.
    Ok(results.into_iter().map(|result| result.is_ok()).collect())
}

/// The keys a batch of reads asks of one table.
pub(super) struct KeysOf {
    pub table: String,
    pub keys: Vec<Item>,
    pub consistent: bool,
}

/// What a batch of reads found in one table, and the places of the keys that were not read.
pub(super) struct Found {
    pub items: Vec<Bytes>,
    pub unread: Vec<usize>,
}

/// Reads a batch of items.
pub(super) async fn get_batch(node: &Node, asked: &[KeysOf]) -> Result<Vec<Found>, Error> {
    let total: usize = asked.iter().map(|keys| keys.keys.len()).sum();
    if total == 0 || total > BATCH_GET_ITEMS_MAX {
        return Err(Error::Invalid(match total {
            0 => "The batch get request list for a table cannot be null or empty".to_owned(),
            _ => "Too many items requested for the BatchGetItem call".to_owned(),
        }));
    }
    let mut tables = BTreeSet::new();
    let mut located = Vec::new();
    for keys in asked {
        let target = Target::find(node, &keys.table).await?;
        let places = keys.keys.iter().map(|key| target.locate(key)).collect::<Result<Vec<_>, _>>()?;
        let distinct: BTreeSet<&Bytes> = places.iter().map(|(_, key)| key).collect();
        if distinct.len() < places.len() || !tables.insert(keys.table.as_str()) {
            return Err(Error::Invalid("Provided list of item keys contains duplicates".to_owned()));
        }
        located.push(places);
    }
    let mut bytes = 0;
    let mut all = Vec::new();
    for (keys, places) in asked.iter().zip(located) {
        let reads = places.into_iter().map(|(group, key)| node.get(group, vec![key], keys.consistent));
        let mut found = Found { items: Vec::new(), unread: Vec::new() };
        for (at, result) in futures::future::join_all(reads).await.into_iter().enumerate() {
            match result.map(|mut items| items.pop().flatten()) {
                Ok(Some(item)) if bytes + item.len() > BATCH_GET_BYTES_MAX => found.unread.push(at),
                Ok(Some(item)) => {
                    bytes += item.len();
                    found.items.push(item);
                }
                Ok(None) => {}
                Err(error) if error.is_unavailable() => found.unread.push(at),
                Err(error) => return Err(error),
            }
        }
        all.push(found);
    }
    Ok(all)
}

/// A page of a table.
pub(super) struct ScanPage {
    pub items: Vec<Bytes>,
    pub last_key: Option<Item>,
}

/// Reads a page of a table, partition after partition.
pub(super) async fn scan(
    node: &Node,
    table: &str,
    limit: u32,
    start: Option<&Item>,
    consistent: bool,
) -> Result<ScanPage, Error> {
    let target = Target::find(node, table).await?;
    let (start_group, mut after) = match start {
        Some(start) => {
            let (group, key) = target.locate(start).map_err(|_| {
                Error::Invalid("The provided starting key is invalid: The provided key element does not match the schema".to_owned())
            })?;
            (Some(group), Some(key))
        }
        None => (None, None),
    };
    let items_max = if limit == 0 { usize::MAX } else { limit as usize };
    let mut page = ScanPage { items: Vec::new(), last_key: None };
    let mut bytes = 0;
    let groups = target.table().partitions.iter().copied();
    for group in groups.skip_while(|group| start_group.is_some_and(|start| start != *group)) {
        let room = (items_max - page.items.len(), PAGE_BYTES_MAX.saturating_sub(bytes));
        let read = node.scan(group, after.take(), room, consistent).await?;
        bytes += read.bytes;
        page.items.extend(read.items);
        if let Some(last) = read.last_key {
            let key = target.table().key_schema.decode_key(last.get(8..).unwrap_or_default());
            let key = key.map_err(|error| Error::internal("a stored key does not decode", &error))?;
            page.last_key = Some(key);
            break;
        }
    }
    Ok(page)
}
