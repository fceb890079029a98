//! Reads the stream, which is on or off, shard by shard.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodbstreams::types::{Record, Shard, ShardIteratorType};

use crate::session::{DEADLINE, Session};

impl Session {
    /// All shards, two to a page.
    async fn shards(&self, arn: &str) -> Result<Vec<Shard>> {
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let ask =
                self.streams.describe_stream().stream_arn(arn).limit(2).set_exclusive_start_shard_id(start);
            let page = ask.send().await?.stream_description.context("no description")?;
            found.extend(page.shards.unwrap_or_default());
            start = page.last_evaluated_shard_id;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    async fn horizon(&self, arn: &str, shard: &Shard) -> Result<Option<String>> {
        let ask = self.streams.get_shard_iterator().stream_arn(arn).set_shard_id(shard.shard_id.clone());
        Ok(ask.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?.shard_iterator)
    }

    /// Reads the shards in turn until there are so many records: no page of an open shard says that it was the last.
    pub async fn read_open(&self, arn: &str, count: usize) -> Result<Vec<Record>> {
        let mut readers = Vec::new();
        for shard in self.shards(arn).await? {
            readers.push((self.horizon(arn, &shard).await?, Vec::new()));
        }
        let begin = std::time::Instant::now();
        while readers.iter().map(|(_, records)| records.len()).sum::<usize>() < count {
            ensure!(begin.elapsed() < DEADLINE, "not {count} records after {DEADLINE:?}: {readers:?}");
            for (iterator, records) in &mut readers {
                ensure!(iterator.is_some(), "an open shard ended");
                let ask = self.streams.get_records().set_shard_iterator(iterator.take()).limit(10);
                let page = ask.send().await?;
                records.extend(page.records.unwrap_or_default());
                *iterator = page.next_shard_iterator;
            }
        }
        Ok(readers.into_iter().flat_map(|(_, records)| records).collect())
    }

    /// Reads all shards to their ends.
    pub async fn read_closed(&self, arn: &str) -> Result<Vec<Record>> {
        let mut found = Vec::new();
        for shard in self.shards(arn).await? {
            let range = shard.sequence_number_range().context("no range")?;
            ensure!(range.ending_sequence_number().is_some(), "open in a stream that is off: {shard:?}");
            let (mut iterator, mut last) = (self.horizon(arn, &shard).await?, 0_u128);
            while iterator.is_some() {
                let page = self.streams.get_records().set_shard_iterator(iterator).send().await?;
                for record in page.records() {
                    let number = record.dynamodb().and_then(|change| change.sequence_number());
                    let number = number.context("no sequence number")?.parse()?;
                    ensure!(number > last, "{number} after {last}");
                    last = number;
                }
                found.extend(page.records.unwrap_or_default());
                iterator = page.next_shard_iterator;
            }
        }
        Ok(found)
    }
}
