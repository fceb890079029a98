// The AWS SDK for JavaScript 3, its clients and its document client: the life of a table and of its stream.

import assert from "node:assert/strict";
import {
  ConditionalCheckFailedException, CreateTableCommand, DescribeTableCommand, GetItemCommand, PutItemCommand,
  ResourceInUseException, ResourceNotFoundException, UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import {
  BatchGetCommand, BatchWriteCommand, DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, paginateQuery,
  paginateScan, UpdateCommand,
} from "@aws-sdk/lib-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import * as session from "./session.mjs";
import { fails, own } from "./session.mjs";

const table = session.newName("javascript");
const client = session.dynamodb();
const documents = DynamoDBDocumentClient.from(session.dynamodb(1));
const send = (command) => documents.send(command);
const report = (minute) => ({ station: "HAM", minute, wind: minute / 4, version: 1 });
const onFailure = { ReturnValuesOnConditionCheckFailure: "ALL_OLD" };

async function create(ledger, item) {
  const put = new PutCommand({
    TableName: table, Item: item, ConditionExpression: "attribute_not_exists(station)", ...onFailure,
  });
  await own(() => send(put), item);
  ledger.put(item);
}

// An increment: the item with one visit more and the next version.
async function countVisit(ledger, { station, minute }) {
  const old = ledger.get({ station, minute });
  const item = { ...old, visits: (old.visits ?? 0) + 1, version: old.version + 1 };
  const update = new UpdateCommand({
    TableName: table,
    Key: { station, minute },
    UpdateExpression: "SET version = :next ADD visits :one",
    ConditionExpression: "version = :version",
    ExpressionAttributeValues: { ":one": 1, ":version": old.version, ":next": item.version },
    ReturnValues: "ALL_NEW",
    ...onFailure,
  });
  const answer = await own(() => send(update), item);
  if (answer) assert.deepEqual(answer.Attributes, item);
  ledger.put(item);
}

async function remove(ledger, { station, minute }) {
  const command = new DeleteCommand({
    TableName: table,
    Key: { station, minute },
    ConditionExpression: "version = :version",
    ExpressionAttributeValues: { ":version": ledger.get({ station, minute }).version },
    ...onFailure,
  });
  await own(() => send(command), undefined);
  ledger.delete({ station, minute });
}

// What comes back unprocessed is sent again. These keys are written by nothing else meanwhile.
async function writeBatch(ledger, puts, deletes = []) {
  const requests = [
    ...puts.map((Item) => ({ PutRequest: { Item } })),
    ...deletes.map((Key) => ({ DeleteRequest: { Key } })),
  ];
  for (let begin = 0; begin < requests.length; begin += 25) {
    let left = { [table]: requests.slice(begin, begin + 25) };
    await session.until("no unprocessed items", async () => {
      left = (await send(new BatchWriteCommand({ RequestItems: left }))).UnprocessedItems;
      return Object.keys(left).length === 0;
    });
  }
  puts.forEach((item) => ledger.put(item));
  deletes.forEach((key) => ledger.delete(key));
}

const range = (begin, end) => Array.from({ length: end - begin }, (_, at) => begin + at);

async function fill(ledger) {
  await create(ledger, {
    station: "BER", minute: 1, version: 1, name: "Brandenburg", sky: null, open: true, raw: new Uint8Array([0, 255]),
    level: -0.00125, runways: new Set(["07L", "07R"]), heights: new Set([46, 48]), keys: new Set([new Uint8Array([1])]),
    history: ["x", 1, { deep: [false] }], place: { lat: 52.36, lon: 13.5 },
  });
  await writeBatch(ledger, range(0, 60).map(report));
  await countVisit(ledger, { station: "BER", minute: 1 });
  await remove(ledger, { station: "HAM", minute: 0 });
  await writeBatch(ledger, [], [1, 2].map((minute) => ({ station: "HAM", minute })));
}

// Each kind of change, and each kind of write that changes nothing.
async function writeWithStream(ledger) {
  const [ber, muc] = [{ station: "BER", minute: 1 }, { station: "MUC", minute: 1 }];
  await countVisit(ledger, ber);
  await create(ledger, { ...muc, version: 1, tags: new Set(["a", "b"]), height: 1.5 });
  // The same item in other words is no change.
  const same = { station: { S: "MUC" }, minute: { N: "1.0" }, version: { N: "1" }, tags: { SS: ["b", "a"] }, height: { N: "15e-1" } };
  const condition = { ConditionExpression: "version = :v", ExpressionAttributeValues: { ":v": { N: "1" } } };
  await client.send(new PutItemCommand({ TableName: table, Item: same, ...condition }));
  for (const _ of range(0, 3)) await countVisit(ledger, muc);
  await send(new DeleteCommand({ TableName: table, Key: { station: "FRA", minute: 404 } }));
  await remove(ledger, muc);
  await create(ledger, { ...muc, version: 10 });
  await writeBatch(ledger, range(100, 130).map(report), [{ station: "HAM", minute: 3 }]);
  await countVisit(ledger, muc);
}

async function checkReads(ledger) {
  const ber = { station: "BER", minute: 1 };
  const found = await send(new GetCommand({ TableName: table, Key: ber, ConsistentRead: true }));
  assert.deepEqual(found.Item, ledger.get(ber));
  const none = await send(new GetCommand({ TableName: table, Key: { station: "BER", minute: 2 }, ConsistentRead: true }));
  assert.equal(none.Item, undefined);
  const items = [];
  for await (const page of paginateScan({ client: documents, pageSize: 25 }, { TableName: table, ConsistentRead: true })) {
    items.push(...page.Items);
  }
  ledger.checkItems(items);
  const query = {
    TableName: table,
    KeyConditionExpression: "station = :s AND #m BETWEEN :from AND :to",
    FilterExpression: "wind <> :w",
    ExpressionAttributeNames: { "#m": "minute" },
    ExpressionAttributeValues: { ":s": "HAM", ":from": 9, ":to": 40, ":w": 5 },
    ScanIndexForward: false,
    ConsistentRead: true,
  };
  const minutes = [];
  for await (const page of paginateQuery({ client: documents, pageSize: 7 }, query)) {
    minutes.push(...page.Items.map((item) => item.minute));
  }
  assert.deepEqual(minutes, range(9, 41).filter((minute) => minute !== 20).reverse());
  const keys = range(0, 60).map((minute) => ({ station: "HAM", minute }));
  let left = { [table]: { Keys: keys, ConsistentRead: true } };
  const got = [];
  await session.until("no unprocessed keys", async () => {
    const answer = await send(new BatchGetCommand({ RequestItems: left }));
    got.push(...answer.Responses[table]);
    left = answer.UnprocessedKeys;
    return Object.keys(left).length === 0;
  });
  const expected = keys.map((key) => ledger.get(key)).filter(Boolean);
  assert.deepEqual(got.sort((a, b) => a.minute - b.minute), expected);
}

async function checkFailures(ledger) {
  const ber = { station: { S: "BER" }, minute: { N: "1" } };
  const on = (name) => ({ TableName: name });
  const condition = { ConditionExpression: "version = :v", ExpressionAttributeValues: { ":v": { N: "4711" } } };
  const put = (Item, more) => () => client.send(new PutItemCommand({ ...on(table), Item, ...more }));
  const text = "The conditional request failed";
  const failed = await fails(ConditionalCheckFailedException, text, put(ber, { ...condition, ...onFailure }));
  assert.deepEqual(unmarshall(failed.Item), ledger.get({ station: "BER", minute: 1 }));
  assert.equal((await fails(ConditionalCheckFailedException, text, put(ber, condition))).Item, undefined);
  const gone = session.newName("gone");
  const get = (name, Key) => () => client.send(new GetItemCommand({ ...on(name), Key }));
  await fails(ResourceNotFoundException, "Requested resource not found", get(gone, ber));
  const describe = () => client.send(new DescribeTableCommand(on(gone)));
  await fails(ResourceNotFoundException, `Table: ${gone} not found`, describe);
  const again = () => client.send(new CreateTableCommand({ ...on(table), ...session.schema }));
  await fails(ResourceInUseException, `Table already exists: ${table}`, again);
  await fails("ValidationException", "An string set  may not be empty", put({ ...ber, tags: { SS: [] } }));
  const update = new UpdateItemCommand({ ...on(table), Key: ber, UpdateExpression: "SET = 1" });
  await fails("ValidationException", "Invalid UpdateExpression: Syntax error", () => client.send(update));
  const wrong = { ...ber, minute: { S: "1" } };
  await fails("ValidationException", "Type mismatch for key minute expected: N actual: S", put(wrong));
  await fails("ValidationException", "The provided key element does not match the schema", get(table, wrong));
}

const ledger = new session.Ledger();
await session.createTable(client, table);
await fill(ledger);
await checkReads(ledger);
const arn = await session.setStream(client, table, true);
ledger.hasStream = true;
await writeWithStream(ledger);
await checkFailures(ledger);
const open = await session.readOpen(arn, ledger.count());
ledger.checkRecords(open);
assert.equal(await session.setStream(client, table, false), arn);
ledger.hasStream = false;
await create(ledger, { station: "AFTER", minute: 1, version: 1 });
const closed = await session.readClosed(arn);
ledger.checkRecords(closed);
// Record by record the same: what was seen once stays, ids and sequence numbers included.
const byId = (a, b) => a.eventID.localeCompare(b.eventID);
assert.deepEqual(closed.sort(byId), open.sort(byId));
await checkReads(ledger);
await session.deleteTable(client, table);
await fails(ResourceNotFoundException, "Requested resource not found", () => client.send(new DescribeTableCommand({ TableName: table })));
