//! What can be wrong with a noun: the caller's fault (`Error`), or stored bytes that do not decode (`Corrupt`).

/// A value, name, key or item that cannot be. Kind: *invalid*; the caller must send something else.
///
/// `Display` is DynamoDB's message, complete and exact (sources: `DYNAMODB.md` 2.1.1 to 2.1.4 and 2.3); the wire adds
/// nothing but, in some operations, a prefix of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A table or index name shorter than `TABLE_NAME_LEN_MIN` or longer than `TABLE_NAME_LEN_MAX`.
    #[error("TableName must be at least 3 characters long and at most 255 characters long")]
    TableNameLength,
    /// A table or index name with characters outside its alphabet.
    #[error(
        "1 validation error detected: Value '{text}' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    )]
    TableNameCharacters {
        /// What was sent.
        text: String,
    },
    /// An attribute name without characters.
    #[error("One or more parameter values were invalid: Empty attribute name")]
    AttributeNameEmpty,
    /// An attribute name longer than `ATTRIBUTE_NAME_BYTES_MAX`.
    #[error(
        "One or more parameter values were invalid: Attribute name is too large, must be less than 65536 bytes"
    )]
    AttributeNameTooLong,
    /// Text that is not a number.
    #[error("The parameter cannot be converted to a numeric value{}{text}", if .text.is_empty() { "" } else { ": " })]
    NotANumber {
        /// What was sent.
        text: String,
    },
    /// More than 38 significant digits in a number that was sent.
    #[error("Attempting to store more than 38 significant digits in a Number")]
    NumberTooPrecise,
    /// Magnitude above 9.99..E+125, or an arithmetic result that needs more than 38 digits.
    #[error("Number overflow. Attempting to store a number with magnitude larger than supported range")]
    NumberOverflow,
    /// Magnitude below 1E-130.
    #[error("Number underflow. Attempting to store a number with magnitude smaller than supported range")]
    NumberUnderflow,
    /// A set without members.
    #[error("One or more parameter values were invalid: {}", match *.type_name {
        "SS" => "An string set  may not be empty",
        "NS" => "An number set  may not be empty",
        _ => "Binary sets should not be empty",
    })]
    SetEmpty {
        /// `SS`, `NS` or `BS`.
        type_name: &'static str,
    },
    /// A set with two equal members.
    #[error("{}", duplicates_text(.type_name, .members))]
    SetDuplicates {
        /// `SS`, `NS` or `BS`.
        type_name: &'static str,
        /// The members as sent, joined with `, ` (binary in base64).
        members: String,
    },
    /// A null value that is not true.
    #[error(
        "One or more parameter values were invalid: Null attribute value types must have the value of true"
    )]
    NullFalse,
    /// A value of no type.
    #[error("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")]
    ValueEmpty,
    /// A value of more than one type.
    #[error(
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
    )]
    ValueAmbiguous,
    /// Bytes of an item that are no protobuf message. Ours: JSON has nothing like it.
    #[error("The item is not a well-formed protobuf message: {what}")]
    Malformed {
        /// What was wrong, as a noun phrase.
        what: &'static str,
    },
    /// An item, or an attribute's value, nested deeper than `NESTING_MAX`.
    #[error(
        "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
    )]
    NestingTooDeep,
    /// An item larger than `ITEM_BYTES_MAX`.
    #[error("Item size has exceeded the maximum allowed size")]
    ItemTooLarge,
    /// An item without one of its key attributes.
    #[error("One or more parameter values were invalid: Missing the key {name} in the item")]
    KeyMissing {
        /// The key attribute.
        name: String,
    },
    /// An item whose key attribute has another type than the schema's.
    #[error(
        "One or more parameter values were invalid: Type mismatch for key {name} expected: {expected} actual: {actual}"
    )]
    KeyType {
        /// The key attribute.
        name: String,
        /// The schema's type.
        expected: &'static str,
        /// The item's.
        actual: &'static str,
    },
    /// A key attribute that is an empty string or binary.
    #[error(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {kind} value. Key: {name}"
    )]
    KeyEmpty {
        /// The key attribute.
        name: String,
        /// `string` or `binary`.
        kind: &'static str,
    },
    /// A partition key value longer than `PARTITION_KEY_BYTES_MAX`. The missing space is DynamoDB's.
    #[error(
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
    )]
    PartitionKeyTooLong,
    /// A sort key value longer than `SORT_KEY_BYTES_MAX`.
    #[error(
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
    )]
    SortKeyTooLong,
    /// A `Key` that has other attributes than the schema's, or of other types.
    #[error("The provided key element does not match the schema")]
    KeyMismatch,
}

fn duplicates_text(type_name: &str, members: &str) -> String {
    match type_name {
        "NS" => "Input collection contains duplicates".to_owned(),
        "BS" => format!(
            "One or more parameter values were invalid: Input collection [{members}]of type BS contains duplicates."
        ),
        _ => {
            format!(
                "One or more parameter values were invalid: Input collection [{members}] contains duplicates."
            )
        }
    }
}

/// Stored bytes that are not what we write: from a damaged disk, or a version of ours that is newer. Kind: *fatal*
/// where the bytes came from our own log or items; the caller adds which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored bytes do not decode at offset {offset}: {what}")]
pub struct Corrupt {
    /// What was wrong, as a noun phrase.
    pub what: &'static str,
    /// Bytes from the start of the slice that was given to the decoder.
    pub offset: usize,
}
