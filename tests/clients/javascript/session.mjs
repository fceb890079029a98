// Clients, the ledger, and how scripts deal with answers that were lost.
//
// Nodes may die under a script. A request whose answer is lost is sent again by the SDK, and the first attempt may have
// been carried out, or may be carried out later. So each write says what the item becomes, and each write to a key that is
// written several times has a condition on the version before it, so that a late attempt is refused. If the condition
// fails and the item it failed on is what this write was to leave behind, then an earlier attempt was carried out (`own`);
// that is allowed only where nodes die. A write that is never answered ends the script: at most one node is down. So the
// ledger has nothing of unknown outcome, and items and stream must be exactly it.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import {
  CreateTableCommand, DeleteTableCommand, DescribeTableCommand, DynamoDBClient, UpdateTableCommand,
  waitUntilTableExists, waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import {
  DescribeStreamCommand, DynamoDBStreamsClient, GetRecordsCommand, GetShardIteratorCommand,
} from "@aws-sdk/client-dynamodb-streams";
import { unmarshall } from "@aws-sdk/util-dynamodb";

const endpoints = process.env.WATERTABLE_ENDPOINTS.split(",");
const nodesDie = Boolean(process.env.WATERTABLE_NODES_DIE);
const deadlineMs = 60_000;

export const dynamodb = (node = 0) => new DynamoDBClient({ endpoint: endpoints[node % endpoints.length] });
export const streams = new DynamoDBStreamsClient({ endpoint: endpoints.at(-1) });
export const newName = (kind) => `${kind}-${randomUUID().slice(0, 13)}`;

export const schema = {
  KeySchema: [
    { AttributeName: "station", KeyType: "HASH" },
    { AttributeName: "minute", KeyType: "RANGE" },
  ],
  AttributeDefinitions: [
    { AttributeName: "station", AttributeType: "S" },
    { AttributeName: "minute", AttributeType: "N" },
  ],
  BillingMode: "PAY_PER_REQUEST",
};

const keyOf = ({ station, minute }) => `${station}/${minute}`;
const image = (item) => item && unmarshall(item);

// What was acknowledged: items by key, and for each key what its records must say, in order.
export class Ledger {
  items = new Map();
  changes = new Map();
  hasStream = false;

  get(key) {
    return this.items.get(keyOf(key));
  }

  put(item) {
    this.#change(item, item);
    return item;
  }

  delete(key) {
    this.#change(key, undefined);
  }

  #change(where, after) {
    const key = keyOf(where);
    const before = this.items.get(key);
    if (after) this.items.set(key, after);
    else this.items.delete(key);
    if (!this.hasStream || (!before && !after)) return;
    const event = before ? (after ? "MODIFY" : "REMOVE") : "INSERT";
    this.changes.set(key, [...(this.changes.get(key) ?? []), { event, before, after }]);
  }

  count() {
    return [...this.changes.values()].reduce((count, changes) => count + changes.length, 0);
  }

  checkItems(found) {
    assert.equal(found.length, this.items.size);
    assert.deepEqual(new Map(found.map((item) => [keyOf(item), item])), this.items);
  }

  checkRecords(records) {
    const found = new Map();
    for (const { eventName, eventSource, dynamodb: change } of records) {
      assert.equal(eventSource, "aws:dynamodb");
      assert.equal(change.StreamViewType, "NEW_AND_OLD_IMAGES");
      assert.ok(change.SizeBytes > 0 && change.ApproximateCreationDateTime instanceof Date);
      const [before, after] = [image(change.OldImage), image(change.NewImage)];
      const { station, minute } = after ?? before;
      assert.deepEqual(unmarshall(change.Keys), { station, minute });
      const key = keyOf({ station, minute });
      found.set(key, [...(found.get(key) ?? []), { event: eventName, before, after }]);
    }
    assert.equal(new Set(records.map((record) => record.eventID)).size, records.length, "ids are not unique");
    assert.deepEqual(found, this.changes);
  }
}

export async function until(what, isThere) {
  const deadline = Date.now() + deadlineMs;
  while (!(await isThere())) {
    assert.ok(Date.now() < deadline, `${what}: not after ${deadlineMs} ms`);
    await pause(100);
  }
}

// A conditional write that leaves `after` behind, or nothing if that is undefined.
export async function own(write, after) {
  try {
    return await write();
  } catch (error) {
    if (!nodesDie || error.name !== "ConditionalCheckFailedException") throw error;
    assert.deepEqual(image(error.Item), after, error);
  }
}

// A call on a table, with the errors that say that an earlier attempt was carried out. What follows makes sure.
async function repeated(call, ...names) {
  try {
    await call();
  } catch (error) {
    if (!nodesDie || !names.includes(error.name)) throw error;
  }
}

// Waiters look at longer and longer intervals by themselves.
const patience = (client) => ({ client, maxWaitTime: deadlineMs / 1000, minDelay: 1, maxDelay: 1 });

export async function createTable(client, table) {
  await repeated(() => client.send(new CreateTableCommand({ TableName: table, ...schema })), "ResourceInUseException");
  const { state } = await waitUntilTableExists(patience(client), { TableName: table });
  assert.equal(state, "SUCCESS");
}

// Turns the stream on or off, and returns its ARN when that is done.
export async function setStream(client, table, enabled) {
  const wanted = enabled ? { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" } : { StreamEnabled: false };
  const update = new UpdateTableCommand({ TableName: table, StreamSpecification: wanted });
  await repeated(() => client.send(update), "ResourceInUseException", "ValidationException");
  await waitUntilTableExists(patience(client), { TableName: table });
  const { Table } = await client.send(new DescribeTableCommand({ TableName: table }));
  assert.deepEqual(Table.StreamSpecification, enabled ? wanted : undefined);
  return Table.LatestStreamArn;
}

export async function deleteTable(client, table) {
  const remove = () => client.send(new DeleteTableCommand({ TableName: table }));
  await repeated(remove, "ResourceInUseException", "ResourceNotFoundException");
  const { state } = await waitUntilTableNotExists(patience(client), { TableName: table });
  assert.equal(state, "SUCCESS");
}

// All shards, two to a page.
export async function shards(arn) {
  const found = [];
  for (let start; ; ) {
    const ask = new DescribeStreamCommand({ StreamArn: arn, Limit: 2, ExclusiveStartShardId: start });
    const { StreamDescription: page } = await streams.send(ask);
    found.push(...page.Shards);
    start = page.LastEvaluatedShardId;
    if (!start) return found;
  }
}

async function horizon(arn, { ShardId }) {
  const ask = new GetShardIteratorCommand({ StreamArn: arn, ShardId, ShardIteratorType: "TRIM_HORIZON" });
  return (await streams.send(ask)).ShardIterator;
}

// Reads the shards in turn until there are so many records: no page of an open shard says that it was the last.
export async function readOpen(arn, count) {
  const readers = [];
  for (const shard of await shards(arn)) readers.push({ iterator: await horizon(arn, shard), records: [] });
  await until(`${count} records`, async () => {
    for (const reader of readers) {
      const page = await streams.send(new GetRecordsCommand({ ShardIterator: reader.iterator, Limit: 10 }));
      assert.ok(page.NextShardIterator, "an open shard ended");
      reader.iterator = page.NextShardIterator;
      reader.records.push(...page.Records);
    }
    return readers.reduce((found, { records }) => found + records.length, 0) >= count;
  });
  return readers.flatMap(({ records }) => records);
}

// Reads all shards to their ends.
export async function readClosed(arn) {
  const found = [];
  for (const shard of await shards(arn)) {
    assert.ok(shard.SequenceNumberRange.EndingSequenceNumber, "an open shard in a stream that is off");
    let last = 0n;
    for (let iterator = await horizon(arn, shard); iterator; ) {
      const page = await streams.send(new GetRecordsCommand({ ShardIterator: iterator }));
      for (const record of page.Records) {
        const number = BigInt(record.dynamodb.SequenceNumber);
        assert.ok(number > last, `${number} after ${last}`);
        last = number;
      }
      found.push(...page.Records);
      iterator = page.NextShardIterator;
    }
  }
  return found;
}

// The error of a call: of this class, or of this name where the SDK has no class, with this in its message.
export async function fails(kind, text, call) {
  const error = await call().then(() => assert.fail("nothing failed"), (error) => error);
  if (typeof kind === "string") assert.equal(error.name, kind, error);
  else assert.ok(error instanceof kind, error);
  assert.ok(error.message.includes(text), `${error.message} has no ${text}`);
  assert.equal(error.$metadata.httpStatusCode, 400);
  return error;
}
