//! A record as the JSON that AWS's clients know: an element of what GetRecords answers, and of the event that a function
//! is called with.

use super::{REGION, Record};
use crate::model::{Corrupt, StreamViewType, json::Object};

/// The version of the form, as records of DynamoDB have it.
pub const EVENT_VERSION: &str = "1.1";
/// Where records come from.
pub const EVENT_SOURCE: &str = "aws:dynamodb";

impl Record {
    /// Writes the members of the record. Sources: Amazon DynamoDB Streams API Reference, "Record", "StreamRecord".
    /// Errors: `Corrupt` if an image is none.
    pub fn write_event(&self, view_type: StreamViewType, object: &mut Object<'_>) -> Result<(), Corrupt> {
        object.text("eventID", &format!("{:032x}", self.event_id));
        object.text("eventName", self.event_name.name());
        object.text("eventVersion", EVENT_VERSION);
        object.text("eventSource", EVENT_SOURCE);
        object.text("awsRegion", REGION);
        object.object("dynamodb", |object| {
            object.unsigned("ApproximateCreationDateTime", self.created_ms / 1000);
            object.item("Keys", &self.keys)?;
            if let Some(image) = &self.new_image {
                object.item("NewImage", image)?;
            }
            if let Some(image) = &self.old_image {
                object.item("OldImage", image)?;
            }
            object.text("SequenceNumber", &self.sequence_number.to_string());
            object.unsigned("SizeBytes", self.size_bytes as u64);
            object.text("StreamViewType", view_type.name());
            Ok(())
        })
    }
}
