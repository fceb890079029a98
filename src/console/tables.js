// The tables: a list with the state of each, and the form that creates one.

import { call, forEach, listTables, poll } from "./api.js";
import { checkbox, confirmByName, field, input, openForm, select } from "./dialog.js";
import { badge, button, commandLine, dataTable, el, empty, link, pageHead, problem, tell, update } from "./dom.js";
import { bytes, count, moment, plural } from "./format.js";
import { manageStream, VIEW_TYPES } from "./streamswitch.js";

const EVERY_MILLIS = 4000;
const KEY_TYPES = [["S", "String"], ["N", "Number"], ["B", "Binary"]];
const NAME = "[a-zA-Z0-9_.\\-]{3,255}";

/** The key attributes of a description: `{name, type, role}`, the partition key first. */
export const keysOf = (table) => (table.KeySchema ?? []).map(({ AttributeName: name, KeyType: role }) => ({
    name,
    role,
    type: table.AttributeDefinitions.find(({ AttributeName }) => AttributeName === name)?.AttributeType ?? "S",
}));

export const statusBadge = (status) => badge(status.toLowerCase(), status === "ACTIVE" ? "ok" : "warn");

export const streamBadge = (table) => (table.StreamSpecification?.StreamEnabled
    ? badge("on", "ok", VIEW_TYPES[table.StreamSpecification.StreamViewType].title)
    : badge("off"));

export const keyChips = (table) => keysOf(table).map(({ name, type, role }) =>
    el("span.key", { title: role === "HASH" ? "Partition key" : "Sort key" }, name, el("span.muted", ` ${type}`)));

/** Asks for the name, then deletes the table. */
export function deleteTable(name, onDone) {
    const text = "All its items will be gone. What its stream has recorded stays readable until its retention ends.";
    confirmByName(`Delete table ${name}`, name, text, "Delete the table", async () => {
        await call("DeleteTable", { TableName: name });
        tell(`Table ${name} is being deleted`);
        onDone();
    });
}

function tableRow(table, refresh) {
    const name = table.TableName;
    const isOn = table.StreamSpecification?.StreamEnabled;
    const actions = [
        isOn && link(`#/streams/${encodeURIComponent(table.LatestStreamArn)}`, "Watch", { class: "button small" }),
        button(isOn ? "Manage stream" : "Turn on stream", () => manageStream(name, refresh), isOn ? "small" : "small primary"),
        button("Delete", () => deleteTable(name, refresh), "small quiet", { "aria-label": `Delete table ${name}` }),
    ];
    return {
        key: `${name} ${isOn}`,
        cells: [
            link(`#/tables/${name}`, name, { class: "strong" }), statusBadge(table.TableStatus), keyChips(table),
            count(table.ItemCount), bytes(table.TableSizeBytes), streamBadge(table),
            moment(table.CreationDateTime * 1000), el("div.actions", actions),
        ],
    };
}

const noTables = (create) => empty("There is no table yet",
    "A table holds items, each found by its key. Its stream tells every change of them.",
    el("p", button("Create a table", create, "primary")),
    el("p.muted", "Or from a terminal:"),
    commandLine("table create airports --key iata:S --stream NEW_AND_OLD_IMAGES"));

export function tablesPage({ root, signal, query }) {
    const filter = input("table-filter", {
        type: "search", placeholder: "Filter by name", "aria-label": "Filter by name", oninput: () => draw(),
        "data-filter": true,
    });
    const create = () => createTable(refresh);
    const area = el("div", el("p.muted", "Asking the node…"));
    root.append(
        pageHead("Tables", null, [filter, button("Create table", create, "primary", { "data-new": true })]), area);
    const heads = [
        "Name", "Status", "Key", { text: "Items", class: "num" }, { text: "Size", class: "num" },
        { text: "Stream", title: "Whether the changes of its items are recorded" }, "Created", "",
    ];
    let tables = null;
    const draw = () => {
        if (tables === null) {
            return;
        }
        if (tables.length === 0) {
            update(area, noTables(create));
            return;
        }
        const shown = tables.filter(({ TableName }) => TableName.toLowerCase().includes(filter.value.toLowerCase()));
        const total = shown.length === tables.length ? plural(tables.length, "table")
            : `${count(shown.length)} of ${plural(tables.length, "table")}`;
        update(area, el("section.card", dataTable("Tables", heads, shown.map((table) => tableRow(table, refresh)))),
            el("p.muted", total));
    };
    const refresh = poll(signal, EVERY_MILLIS, async () => {
        const names = await listTables(signal);
        const described = await forEach(names, (name) => describe(name, signal));
        tables = described.filter(Boolean);
        draw();
    }, (error) => tables ?? update(area, problem(error)));
    if (query.has("new")) {
        create();
    }
}

/** A description; null if the table went while it was asked for. */
async function describe(name, signal) {
    try {
        return (await call("DescribeTable", { TableName: name }, signal)).Table;
    } catch (error) {
        if (error.name === "ResourceNotFoundException") {
            return null;
        }
        throw error;
    }
}

/** The form that creates a table. */
function createTable(onDone) {
    const name = input("new-name", { required: true, pattern: NAME, autofocus: true, placeholder: "airports" });
    const hash = input("new-hash", { required: true, placeholder: "iata", maxlength: 255 });
    const hashType = select("new-hash-type", KEY_TYPES, "S", { "aria-label": "Type of the partition key" });
    const range = input("new-range", { placeholder: "none", maxlength: 255 });
    const rangeType = select("new-range-type", KEY_TYPES, "S", { "aria-label": "Type of the sort key" });
    const { box: hasStream, element: streamCheck } = checkbox("new-stream", "Turn its stream on at once", true,
        "every change of an item becomes a record");
    const view = select("new-view", Object.entries(VIEW_TYPES).map(([type, { title }]) => [type, title]),
        "NEW_AND_OLD_IMAGES");
    const viewField = field("Records show", view);
    hasStream.addEventListener("change", () => { viewField.hidden = !hasStream.checked; });
    const run = async () => {
        const keys = [[hash.value, hashType.value, "HASH"], [range.value, rangeType.value, "RANGE"]]
            .filter(([attribute]) => attribute !== "");
        await call("CreateTable", {
            TableName: name.value,
            KeySchema: keys.map(([AttributeName, , KeyType]) => ({ AttributeName, KeyType })),
            AttributeDefinitions: keys.map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType })),
            BillingMode: "PAY_PER_REQUEST",
            StreamSpecification: hasStream.checked ? { StreamEnabled: true, StreamViewType: view.value } : undefined,
        });
        tell(`Table ${name.value} is being created`, "ok");
        onDone();
    };
    openForm("Create a table", [
        field("Name", name, "3 to 255 of a–z A–Z 0–9 _ . -"),
        el("div.pair", field("Partition key", hash, "Items are found by it, and spread over partitions."),
            field("Type", hashType)),
        el("div.pair", field("Sort key (optional)", range, "Orders the items of one partition key."),
            field("Type", rangeType)),
        streamCheck, viewField,
    ], { submit: "Create table", run });
}
