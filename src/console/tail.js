// Follows all shards of a stream: reads each page by page, and hands on what it reads.

import { call, describeStream } from "./api.js";

const IDLE_MILLIS = 250;
const SHARDS_MILLIS = 3000;
const RETRY_MILLIS = 2000;
const PAGE = 200;

const pause = (millis, signal) => new Promise((done) => {
    const timer = setTimeout(done, millis);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
});

/** Nothing is asked for while nobody looks. */
async function seen(signal) {
    while (document.hidden && !signal.aborted) {
        await pause(IDLE_MILLIS, signal);
    }
}

async function followShard(arn, shard, start, signal, { onRecords, onError }) {
    let iterator = null;
    let last = null;
    while (!signal.aborted) {
        await seen(signal);
        try {
            if (iterator === null) {
                const place = last ? { ShardIteratorType: "AFTER_SEQUENCE_NUMBER", SequenceNumber: last }
                    : { ShardIteratorType: start };
                const input = { StreamArn: arn, ShardId: shard.ShardId, ...place };
                iterator = (await call("GetShardIterator", input, signal)).ShardIterator;
            }
            const page = await call("GetRecords", { ShardIterator: iterator, Limit: PAGE }, signal);
            iterator = page.NextShardIterator;
            if (page.Records.length > 0) {
                last = page.Records.at(-1).dynamodb.SequenceNumber;
                onRecords(page.Records, shard);
            }
            if (!iterator) {
                return;
            }
            if (page.Records.length === 0) {
                await pause(IDLE_MILLIS, signal);
            }
        } catch (error) {
            if (signal.aborted) {
                return;
            }
            if (error.name === "TrimmedDataAccessException") {
                last = null;
                start = "TRIM_HORIZON";
            } else if (error.name !== "ExpiredIteratorException") {
                onError(error);
                await pause(RETRY_MILLIS, signal);
            }
            iterator = null;
        }
    }
}

/**
 * Follows a stream from `LATEST` or `TRIM_HORIZON` until the signal. `onStream` hears of its description, `onRecords` of
 * records with their shard, `onError` of what went wrong. Shards that come later are read from their beginnings.
 */
export async function followStream(arn, start, signal, listener) {
    const followed = new Set();
    for (let isFirst = true; !signal.aborted; isFirst = false) {
        await seen(signal);
        try {
            const stream = await describeStream(arn, signal);
            listener.onStream(stream);
            for (const shard of stream.Shards.filter(({ ShardId }) => !followed.has(ShardId))) {
                followed.add(shard.ShardId);
                followShard(arn, shard, isFirst ? start : "TRIM_HORIZON", signal, listener);
            }
        } catch (error) {
            if (!signal.aborted) {
                listener.onError(error);
            }
            isFirst = followed.size === 0;
        }
        await pause(SHARDS_MILLIS, signal);
    }
}
