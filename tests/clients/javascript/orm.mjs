// ElectroDB: an entity whose keys are its attributes, on a table made by the SDK, and what the stream says of it.

import assert from "node:assert/strict";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { Entity } from "electrodb";
import * as session from "./session.mjs";
import { own } from "./session.mjs";

const table = session.newName("electrodb");
const client = session.dynamodb();
const Report = new Entity(
  {
    model: { entity: "report", version: "1", service: "weather" },
    attributes: {
      station: { type: "string", required: true },
      minute: { type: "number", required: true },
      version: { type: "number", required: true },
      wind: { type: "number" },
      sky: { type: ["clear", "cloudy"] },
      tags: { type: "set", items: "string" },
      history: { type: "list", items: { type: "string" } },
      place: { type: "map", properties: { lat: { type: "number" }, lon: { type: "number" } } },
    },
    indexes: {
      minutes: {
        pk: { field: "station", composite: ["station"], casing: "none" },
        sk: { field: "minute", composite: ["minute"] },
      },
    },
  },
  { client: DynamoDBDocumentClient.from(client), table },
);

// As it is stored: the entity says in each item what it is.
const stored = (item) => ({ ...item, __edb_e__: "report", __edb_v__: "1" });

// ElectroDB wraps the errors of the SDK, and `own` wants to see those.
const unwrapped = (call) => call.catch((error) => Promise.reject(error.cause ?? error));
const onFailure = { params: { ReturnValuesOnConditionCheckFailure: "ALL_OLD" } };

async function create(ledger, item) {
  await own(() => unwrapped(Report.create(item).go(onFailure)), stored(item));
  ledger.put(stored(item));
}

async function change(ledger, key, values) {
  const { version, ...old } = ledger.get(key);
  const item = { ...old, ...values, version: version + 1 };
  const patch = Report.patch(key).set({ ...values, version: version + 1 });
  const guarded = patch.where((attributes, { eq }) => eq(attributes.version, version));
  await own(() => unwrapped(guarded.go(onFailure)), item);
  ledger.put(item);
}

async function remove(ledger, key) {
  const { version } = ledger.get(key);
  const guarded = Report.remove(key).where((attributes, { eq }) => eq(attributes.version, version));
  await own(() => unwrapped(guarded.go(onFailure)), undefined);
  ledger.delete(key);
}

// Batches are not guarded: these keys are written by nothing else meanwhile.
async function putAll(ledger, minutes) {
  let left = minutes.map((minute) => ({ station: "HAM", minute, version: 1, wind: minute / 4 }));
  left.forEach((item) => ledger.put(stored(item)));
  await session.until("no unprocessed items", async () => {
    left = (await Report.put(left).go()).unprocessed;
    return left.length === 0;
  });
}

async function fails(name, text, call) {
  const error = await unwrapped(call).then(() => assert.fail("nothing failed"), (error) => error);
  assert.equal(error.name, name, error);
  assert.ok(error.message.includes(text), error.message);
  return error;
}

async function checkFailures(ledger) {
  const ber = { station: "BER", minute: 1 };
  const again = Report.create({ ...ber, version: 1 }).go(onFailure);
  const failed = await fails("ConditionalCheckFailedException", "The conditional request failed", again);
  assert.deepEqual(unmarshall(failed.Item), ledger.get(ber));
  const absent = Report.patch({ station: "BER", minute: 404 }).set({ wind: 1 }).go();
  await fails("ConditionalCheckFailedException", "The conditional request failed", absent);
  const gone = session.newName("gone");
  await fails("ResourceNotFoundException", "Requested resource not found", Report.get(ber).go({ table: gone }));
  const unreadable = Report.patch(ber).set({ wind: 1 }).where(() => "version = = 1").go();
  await fails("ValidationException", "Invalid ConditionExpression: Syntax error", unreadable);
  const mistaken = Report.get({ station: "BER", minute: 1 }).go({ params: { Key: { station: 1, minute: 1 } } });
  await fails("ValidationException", "The provided key element does not match the schema", mistaken);
}

async function checkReads(ledger) {
  const ber = { station: "BER", minute: 1 };
  const plain = ({ __edb_e__, __edb_v__, ...item }) => item;
  const consistent = { consistent: true };
  assert.deepEqual((await Report.get(ber).go(consistent)).data, plain(ledger.get(ber)));
  assert.equal((await Report.get({ station: "BER", minute: 404 }).go(consistent)).data, null);
  const between = Report.query.minutes({ station: "HAM" }).between({ minute: 9 }, { minute: 30 });
  const { data } = await between.go({ ...consistent, pages: "all", limit: 5, order: "desc" });
  const expected = Array.from({ length: 22 }, (_, at) => plain(ledger.get({ station: "HAM", minute: 30 - at })));
  assert.deepEqual(data, expected);
  const all = await Report.scan.go({ ...consistent, pages: "all" });
  ledger.checkItems(all.data.map(stored));
  const keys = Array.from({ length: 60 }, (_, minute) => ({ station: "HAM", minute }));
  const got = [];
  let left = keys;
  await session.until("no unprocessed keys", async () => {
    const answer = await Report.get(left).go(consistent);
    got.push(...answer.data.map(stored));
    left = answer.unprocessed;
    return left.length === 0;
  });
  got.sort((a, b) => a.minute - b.minute);
  assert.deepEqual(got, keys.map((key) => ledger.get(key)).filter(Boolean));
}

const ledger = new session.Ledger();
await session.createTable(client, table);
const [ber, muc] = [{ station: "BER", minute: 1 }, { station: "MUC", minute: 1 }];
await create(ledger, {
  ...ber, version: 1, wind: 7.25, sky: "clear", history: ["x"], place: { lat: 52.36, lon: 13.5 },
});
await putAll(ledger, Array.from({ length: 40 }, (_, minute) => minute));
await checkReads(ledger);
const arn = await session.setStream(client, table, true);
ledger.hasStream = true;
await change(ledger, ber, { wind: 8.5, sky: "cloudy" });
await create(ledger, { ...muc, version: 1, wind: 1 });
for (const wind of [2, 3]) await change(ledger, muc, { wind });
await remove(ledger, muc);
await create(ledger, { ...muc, version: 10 });
await remove(ledger, { station: "HAM", minute: 0 });
await putAll(ledger, Array.from({ length: 30 }, (_, at) => 100 + at));
await checkFailures(ledger);
ledger.checkRecords(await session.readOpen(arn, ledger.count()));
assert.equal(await session.setStream(client, table, false), arn);
ledger.hasStream = false;
ledger.checkRecords(await session.readClosed(arn));
await checkReads(ledger);
await session.deleteTable(client, table);
