// What a person does with the console, in a real browser, against real nodes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { call, startFunction, startProgram, until, useStage } from "./harness.mjs";

const VIEWS = ["New and old image", "New image", "Old image", "Keys only"];
const stage = useStage(3);
const place = (hash = "") => `${stage.cluster.origins[0]}/console/${hash}`;

const put = (table, item) => call(stage.cluster.origins[1], "PutItem", { TableName: table, Item: item });

async function createTable(name, stream = true) {
    await call(stage.cluster.origins[0], "CreateTable", {
        TableName: name,
        KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
        AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
        BillingMode: "PAY_PER_REQUEST",
        ...(stream && { StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" } }),
    });
    await until("the table being there", async () =>
        (await call(stage.cluster.origins[0], "DescribeTable", { TableName: name })).Table.TableStatus === "ACTIVE");
}

test("the first page is small, quick and says how the cluster is", async () => {
    const page = await stage.browser.open(place());
    await page.getByText("Healthy: all 3 nodes answer.").waitFor();
    assert.equal(await page.getByRole("region", { name: "Nodes" }).getByRole("row").count(), 4);
    await until("all pages being read", () =>
        page.evaluate(() => performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/value.js"))));
    const { bytes, files, millis } = await page.evaluate(() => {
        const [shown] = performance.getEntriesByType("navigation");
        const files = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/console/"));
        const bytes = [shown, ...files].reduce((sum, { transferSize }) => sum + transferSize, 0);
        const first = files.filter(({ startTime }) => startTime < shown.domContentLoadedEventEnd);
        return { bytes, files: first.length + 1, millis: shown.loadEventEnd };
    });
    process.stdout.write(`first page: ${files} files, there after ${millis.toFixed(0)} ms; ${bytes} bytes with all pages\n`);
    assert.ok(bytes > 10_000 && bytes < 150 * 1024, `${bytes} bytes`);
    assert.ok(files <= 10, `${files} files are read before the first page is there: each takes a browser some 4 ms`);
    await stage.browser.picture(page, "overview-empty");
});

test("a table is made, its stream turned on with each view type, watched, and turned off", async () => {
    const page = await stage.browser.open(place());
    await page.getByRole("link", { name: "Tables" }).click();
    await page.getByRole("button", { name: "Create table" }).first().click();
    await page.getByLabel("Name", { exact: true }).fill("airports");
    await page.getByLabel("Partition key", { exact: true }).fill("iata");
    await page.getByLabel("Turn its stream on at once").uncheck();
    await stage.browser.picture(page, "create-table");
    await page.getByRole("dialog").getByRole("button", { name: "Create table" }).click();
    await page.getByRole("link", { name: "airports", exact: true }).click();
    await page.getByText("Stream is off").waitFor();
    for (const view of VIEWS) {
        await page.getByRole("button", { name: "Turn on stream" }).click();
        await page.getByRole("radio", { name: new RegExp(`^${view}`) }).first().check();
        await stage.browser.picture(page, `turn-on-${view.toLowerCase().replaceAll(" ", "-")}`);
        await page.getByRole("dialog").getByRole("button", { name: "Turn on stream" }).click();
        await page.getByRole("link", { name: "Watch it live" }).click();
        await page.getByText("Waiting for changes").waitFor();
        await page.getByText(view, { exact: true }).waitFor();
        await page.getByRole("button", { name: "Manage stream" }).waitFor();
        const name = `Tegel <b>${view}</b>`;
        await until("the record being shown", async () => {
            // Whatever was written before the first iterators were there is older than LATEST.
            await put("airports", { iata: { S: "TXL" }, name: { S: name }, n: { N: `${Date.now()}` } });
            return await page.locator(".record").count() > 0;
        });
        const record = page.locator(".record").first();
        assert.match(await record.innerText(), /TXL/);
        if (view === "New image") {
            await record.getByText("Tegel <b>").waitFor(); // shown as it is written, not as markup
        }
        await record.locator("summary").click();
        await record.getByText("Sequence number").waitFor();
        await stage.browser.picture(page, `stream-${view.toLowerCase().replaceAll(" ", "-")}`);
        await page.getByRole("button", { name: "Manage stream" }).click();
        await page.getByRole("button", { name: "Turn off…" }).click();
        await page.getByRole("button", { name: "Turn off stream" }).click();
        await page.getByText("The stream of airports is off").first().waitFor();
        await page.goto(place("#/tables/airports"));
        await page.getByText("Stream is off").waitFor();
    }
    await page.getByRole("button", { name: "Delete table" }).click();
    await page.getByRole("dialog").getByRole("textbox").fill("airports");
    await page.getByRole("button", { name: "Delete the table" }).click();
    await page.getByText("There is no table yet").waitFor();
    assert.deepEqual(stage.browser.faults, []);
});

test("changes show side by side, a filter finds them, and a pause keeps them", async () => {
    await createTable("orders");
    const page = await stage.browser.open(place());
    await page.goto(place("#/tables/orders"));
    await page.getByRole("link", { name: "Watch live" }).click();
    await page.getByText("All that is kept").click();
    await put("orders", { id: { S: "1" }, price: { N: "1" }, gone: { S: "x" } });
    await put("orders", { id: { S: "1" }, price: { N: "12345678901234567890123456789012345678" } });
    await put("orders", { id: { S: "2" }, price: { N: "3" } });
    const records = page.locator(".record");
    await until("three records", async () => await records.count() === 3);
    const modified = records.filter({ hasText: "modify" });
    await modified.locator("summary").click();
    await modified.locator("td.changed.old", { hasText: "1" }).waitFor();
    await modified.locator("td.changed.new", { hasText: "12345678901234567890123456789012345678" }).waitFor();
    await modified.locator("td.removed.old", { hasText: "x" }).waitFor();
    await stage.browser.picture(page, "stream-difference");
    await page.keyboard.press("Escape");
    await page.getByLabel("Filter records").fill("insert");
    await until("two records", async () => await records.count() === 2);
    await page.getByLabel("Filter records").fill("");
    await page.getByLabel("Pause").check();
    await put("orders", { id: { S: "3" }, price: { N: "4" } });
    await page.getByText("1 more wait").waitFor();
    await page.getByLabel("Pause").uncheck();
    await until("four records", async () => await records.count() === 4);
    await page.getByRole("heading", { name: /shards?$/ }).click();
    await page.getByText("Oldest record").waitFor();
    assert.deepEqual(stage.browser.faults, []);
});

test("items are found, made, changed and deleted", async () => {
    const page = await stage.browser.open(place());
    await page.goto(place("#/tables/orders"));
    await page.getByRole("button", { name: "New item" }).click();
    await page.getByLabel("Item", { exact: true }).fill('{"id": "7", "price": 1, "tags": {"SS": ["a", "b"]}, "price": 2}');
    await page.getByRole("button", { name: "Make the item" }).click();
    await page.getByRole("alert").getByText(/Line 1/).waitFor();
    await page.getByLabel("Item", { exact: true }).fill('{"id": "7", "price": 1.50, "tags": {"SS": ["a", "b"]}}');
    await page.getByText("DynamoDB JSON").click();
    assert.match(await page.getByLabel("Item", { exact: true }).inputValue(), /"N": "1.50"/);
    await page.getByRole("button", { name: "Make the item" }).click();
    await page.getByRole("button", { name: "7", exact: true }).waitFor();
    await page.getByRole("textbox", { name: /^id/ }).or(page.locator("#find-hash")).first().fill("7");
    await page.getByRole("button", { name: "Find" }).click();
    await page.getByText("1 item", { exact: true }).waitFor();
    await stage.browser.picture(page, "items");
    await page.getByRole("button", { name: "7", exact: true }).click();
    await stage.browser.picture(page, "item-editor");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: "Delete the item" }).click();
    await page.getByText("No items here.").waitFor();
    assert.deepEqual(stage.browser.faults, []);
});

test("a trigger is made, fails, is seen to fail, and what it gave up is delivered again", async () => {
    const target = await startFunction();
    target.state.status = 500;
    await createTable("jobs");
    await call(stage.cluster.origins[0], "CreateTable", {
        TableName: "failures",
        KeySchema: [{ AttributeName: "TriggerId", KeyType: "HASH" }, { AttributeName: "FailureId", KeyType: "RANGE" }],
        AttributeDefinitions: [{ AttributeName: "TriggerId", AttributeType: "S" },
            { AttributeName: "FailureId", AttributeType: "S" }],
        BillingMode: "PAY_PER_REQUEST",
    });
    const page = await stage.browser.open(place());
    await page.goto(place("#/triggers"));
    await page.getByRole("button", { name: "Create trigger" }).first().click();
    await page.getByLabel("Table", { exact: true }).selectOption("jobs");
    await page.getByLabel("Function", { exact: true }).fill(target.url);
    await page.getByLabel("Begins").selectOption("TRIM_HORIZON");
    await page.getByText("More settings").click();
    await page.getByLabel("Retries").fill("0");
    await page.getByLabel("Records that are given up go to").fill("table:failures");
    await stage.browser.picture(page, "create-trigger");
    await page.getByRole("dialog").getByRole("button", { name: "Create trigger" }).click();
    await page.getByRole("link", { name: target.url }).click();
    await put("jobs", { id: { S: "job-1" } });
    await page.getByRole("heading", { name: "1 given up" }).waitFor();
    await stage.browser.picture(page, "trigger-failed");
    target.state.status = 200;
    await page.getByRole("button", { name: "Deliver again" }).click();
    await page.getByText("Nothing was given up.").waitFor();
    assert.equal(target.calls.at(-1).Records[0].dynamodb.Keys.id.S, "job-1");
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("button", { name: "Pause" }).waitFor();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("button", { name: "Delete the trigger" }).click();
    await page.getByText("There is no trigger yet").waitFor();
    target.stop();
    assert.deepEqual(stage.browser.faults, []);
});

test("a consumer is seen to copy, to follow and to be read by nobody, and is deleted", async () => {
    const page = await stage.browser.open(place("#/consumers"));
    await page.getByText("There is no consumer yet").waitFor();
    const member = startProgram(["consumer", "read", "orders", "mirror", "--from", "snapshot", "--endpoint", stage.cluster.origins[1]]);
    await page.getByRole("heading", { name: "mirror" }).waitFor();
    await page.getByText("1 member").waitFor();
    await until("all shards being followed", async () => await page.getByText("following").count() === 4);
    await stage.browser.picture(page, "consumer");
    member.kill("SIGKILL");
    await page.getByText("nobody reads").waitFor();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("textbox").fill("mirror");
    await page.getByRole("button", { name: "Delete the consumer" }).click();
    await page.getByText("There is no consumer yet").waitFor();
    assert.deepEqual(stage.browser.faults, []);
});

test("a lost node is said to be lost, and is there again by itself", async () => {
    const page = await stage.browser.open(`${stage.cluster.origins[2]}/console/`);
    await page.getByText("Healthy").waitFor();
    stage.cluster.kill(2);
    await page.getByText("The node has not answered since").waitFor();
    await stage.browser.picture(page, "lost");
    stage.cluster.restart(2);
    await page.getByText("The node has not answered since").waitFor({ state: "detached" });
    await page.getByText("Healthy: all 3 nodes answer.").waitFor();
    // What the browser itself says of requests that fail is no fault of the page.
    assert.deepEqual(stage.browser.faults, []);
});

test("it can be used by keys, on a phone, in the dark", async () => {
    const page = await stage.browser.open(place(), { colorScheme: "dark" });
    await page.getByText("Healthy").waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    for (const [key, title] of [["t", "Tables"], ["s", "Streams"], ["r", "Triggers"], ["c", "Consumers"], ["o", "Overview"]]) {
        await page.keyboard.press("g");
        await page.keyboard.press(key);
        await page.getByRole("heading", { name: title, exact: true }).waitFor();
        await stage.browser.picture(page, `dark-${title.toLowerCase()}`);
    }
    await page.keyboard.press("g");
    await page.keyboard.press("t");
    await page.getByRole("heading", { name: "Tables", exact: true }).waitFor();
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.id), "table-filter");
    const phone = await stage.browser.open(place("#/tables/orders"), { viewport: { width: 390, height: 800 } });
    await phone.getByText("Stream is on").waitFor();
    const overflow = await phone.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(overflow <= 0, `${overflow} px wider than the phone`);
    await stage.browser.picture(phone, "phone-table");
    assert.deepEqual(stage.browser.faults, []);
});
