//! An item on the wire, kept in its stored encoding.

use std::collections::BTreeMap;
/// stub
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Item {
    /// stub
    #[prost(btree_map = "string, message", tag = "1")]
    pub attributes: BTreeMap<String, super::wire::v1::AttributeValue>,
}
