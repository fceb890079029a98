// Everything at once while nodes die: items are written, a function is called, a consumer is read by a program, and a
// person watches, on three nodes of which each is killed once.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { call, linesOf, startFunction, startProgram, until, useStage } from "./harness.mjs";

const KEYS = 5;
const stage = useStage(3);
let member;
let target;

after(() => {
    member?.kill("SIGKILL");
    target?.stop();
});

/** Calls the nodes one after the other until one does it. */
async function callAny(operation, input) {
    for (let at = 0; ; at += 1) {
        try {
            return await call(stage.cluster.origins[at % 3], operation, input);
        } catch (error) {
            if (at === 100) {
                throw error;
            }
            await new Promise((done) => { setTimeout(done, 50); });
        }
    }
}

/** Writes 0, 1, 2, ... to each key until it is stopped; `written` of each are acknowledged. */
function startWriter(table) {
    const writer = { written: 0, stopped: false };
    const put = (key) => callAny("PutItem", {
        TableName: table,
        // The same again, where it is not known whether it happened, changes nothing.
        Item: { id: { S: `key-${key}` }, n: { N: `${writer.written}` } },
    });
    writer.ended = (async () => {
        while (!writer.stopped) {
            await Promise.all(Array.from({ length: KEYS }, (_, key) => put(key)));
            writer.written += 1;
        }
    })();
    return writer;
}

/** Of each key, the numbers that came, in order. */
function byKey(changes) {
    const numbers = new Map();
    for (const [key, number] of changes) {
        numbers.set(key, [...(numbers.get(key) ?? []), Number(number)]);
    }
    return numbers;
}

/** Each key's numbers are all there, and none came before one that was written before it; some may come again. */
function assertWhole(what, numbers, count) {
    assert.equal(numbers.size, KEYS, what);
    for (const [key, came] of numbers) {
        let next = 0;
        for (const number of came) {
            assert.ok(number <= next, `${what}: ${key}: ${number} came before ${next}`);
            next = Math.max(next, number + 1);
        }
        assert.equal(next, count, `${what}: ${key}`);
    }
}

const delivered = (target) => byKey(target.calls.flatMap(({ Records }) => Records)
    .map(({ dynamodb: { NewImage } }) => [NewImage.id.S, NewImage.n.N]));
const consumed = (lines) => byKey(lines.map((line) => JSON.parse(line))
    .map(({ newImage }) => [newImage.id.S, newImage.n.N]));
const isWhole = (numbers, count) => numbers.size === KEYS && [...numbers.values()].every((came) => came.includes(count - 1));

test("a function, a consumer and a person see every change, whichever node dies", async () => {
    target = await startFunction();
    await callAny("CreateTable", {
        TableName: "orders",
        KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
        AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
        BillingMode: "PAY_PER_REQUEST",
        StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_IMAGE" },
    });
    await until("the table being there", async () =>
        (await callAny("DescribeTable", { TableName: "orders" })).Table.TableStatus === "ACTIVE");
    await callAny("CreateTrigger", { TableName: "orders", Target: target.url, StartingPosition: "TRIM_HORIZON" });
    const endpoints = stage.cluster.origins.join(",");
    member = startProgram(["consumer", "read", "orders", "audit", "--output", "json", "--dynamodb-json",
        "--endpoint", endpoints], "pipe");
    const lines = linesOf(member);
    const pages = await Promise.all(stage.cluster.origins.map((origin) => stage.browser.open(`${origin}/console/#/tables/orders`)));
    await Promise.all(pages.map((page) => page.getByRole("link", { name: "Watch live" }).click()));
    const writer = startWriter("orders");
    const shows = (page, number) => page.locator(".record", { hasText: `${number}` }).first().waitFor();
    await Promise.all(pages.map((page) => page.locator(".record").first().waitFor()));
    for (const [victim, page] of pages.entries()) {
        stage.cluster.kill(victim);
        await page.getByText("The node has not answered since").waitFor();
        const after = writer.written + 1;
        const others = pages.filter((other) => other !== page);
        await until("what is written then", () => writer.written > after);
        await Promise.all(others.map((other) => shows(other, after)));
        await stage.browser.picture(others[0], `watched-while-node-${victim + 1}-is-dead`);
        stage.cluster.restart(victim);
        await page.getByText("The node has not answered since").waitFor({ state: "detached" });
        const again = writer.written + 1;
        await shows(page, again);
    }
    writer.stopped = true;
    await writer.ended;
    await until("everything being delivered", () => isWhole(delivered(target), writer.written));
    await until("everything being consumed", () => isWhole(consumed(lines), writer.written));
    assertWhole("the function", delivered(target), writer.written);
    assertWhole("the consumer", consumed(lines), writer.written);
    const [page] = pages;
    await page.goto(`${stage.cluster.origins[0]}/console/#/triggers`);
    await page.getByRole("link", { name: target.url }).waitFor();
    await stage.browser.picture(page, "trigger-after-deaths");
    await page.goto(`${stage.cluster.origins[0]}/console/#/consumers`);
    await page.getByText("1 member").waitFor();
    await stage.browser.picture(page, "consumer-after-deaths");
    process.stdout.write(`${KEYS * writer.written} changes, ${target.calls.length} calls of the function\n`);
    assert.deepEqual(stage.browser.faults, []);
});
