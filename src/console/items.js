// The items of a table: found by key or read page by page, and edited.

import { call } from "./api.js";
import { confirm, field, input, openForm, segmented, select } from "./dialog.js";
import { button, dataTable, el, problem, tell, update } from "./dom.js";
import { bytes, plural } from "./format.js";
import { brief, isBase64, itemBytes, keyFault, keyOf, keyText, numberFault, parseItem, writeItem } from "./value.js";

const PAGE = 50;
const COLUMNS_MAX = 8;
const CONDITIONS = [
    ["", "any"], ["=", "="], ["<", "<"], ["<=", "≤"], [">", ">"], [">=", "≥"], ["begins_with", "begins with"],
    ["between", "between"],
];

/** An attribute value of a key, from what was typed. */
function keyValue({ name, type }, text) {
    if (type === "N") {
        const fault = numberFault(text.trim());
        if (fault) {
            throw new Error(`${name}: ${fault}`);
        }
        return { N: text.trim() };
    }
    if (type === "B" && !isBase64(text)) {
        throw new Error(`${name}: base64 text is expected`);
    }
    return { [type]: text };
}

/** What is asked for, as a request of Query or Scan. */
function requestOf(tableName, [hash, range], asked) {
    const request = { TableName: tableName, Limit: PAGE };
    if (asked.hash === "") {
        return ["Scan", request];
    }
    const names = { "#h": hash.name };
    const values = { ":h": keyValue(hash, asked.hash) };
    let condition = "#h = :h";
    if (range && asked.operator !== "") {
        names["#r"] = range.name;
        values[":r"] = keyValue(range, asked.range);
        if (asked.operator === "between") {
            values[":s"] = keyValue(range, asked.upTo);
        }
        condition += {
            begins_with: " AND begins_with(#r, :r)", between: " AND #r BETWEEN :r AND :s",
        }[asked.operator] ?? ` AND #r ${asked.operator} :r`;
    }
    return ["Query", {
        ...request, KeyConditionExpression: condition, ExpressionAttributeNames: names,
        ExpressionAttributeValues: values,
    }];
}

/** The attributes that become columns: the key, then those most items have. */
function columnsOf(items, keys) {
    const counts = new Map();
    items.flatMap(Object.keys).forEach((name) => counts.set(name, (counts.get(name) ?? 0) + 1));
    const rest = [...counts.keys()].filter((name) => keys.every((key) => key.name !== name));
    rest.sort((one, other) => counts.get(other) - counts.get(one));
    return [...keys.map(({ name }) => name), ...rest.slice(0, COLUMNS_MAX - keys.length)];
}

/** The form that changes an item, or makes one if there is none. */
function editItem(tableName, keys, item, onDone) {
    let form = "plain";
    const example = Object.fromEntries(keys.map(({ name, type }) => [name, { [type]: type === "N" ? "1" : "" }]));
    const text = el("textarea.mono", { id: "item-text", rows: 16, spellcheck: "false", autofocus: true });
    text.value = writeItem(item ?? example, form);
    const change = (next) => {
        try {
            text.value = writeItem(parseItem(text.value, form), next);
            form = next;
        } catch (error) {
            opened.message.replaceChildren(problem(error));
            opened.form.querySelector(`input[value=${form}]`).checked = true;
        }
    };
    const run = async () => {
        const fresh = parseItem(text.value, form);
        const fault = keyFault(fresh, keys);
        if (fault) {
            throw new Error(fault);
        }
        const names = Object.fromEntries(keys.map(({ name }, i) => [`#k${i}`, name]));
        const isNew = !item || keyText(keyOf(item, keys)) !== keyText(keyOf(fresh, keys));
        await call("PutItem", {
            TableName: tableName, Item: fresh,
            ...(isNew && { ConditionExpression: "attribute_not_exists(#k0)", ExpressionAttributeNames: { "#k0": names["#k0"] } }),
        }).catch((error) => {
            throw error.name === "ConditionalCheckFailedException" ? new Error("An item with this key is there already") : error;
        });
        tell(`Item ${keyText(keyOf(fresh, keys))} is ${item && !isNew ? "changed" : "made"}`, "ok");
        onDone();
    };
    const remove = item && button("Delete", () => {
        const key = keyOf(item, keys);
        opened.dialog.close();
        confirm("Delete an item", `The item ${keyText(key)} will be gone.`, "Delete the item", async () => {
            await call("DeleteItem", { TableName: tableName, Key: key });
            tell(`Item ${keyText(key)} is deleted`);
            onDone();
        });
    }, "danger");
    const opened = openForm(item ? `Item ${keyText(keyOf(item, keys))}` : "New item", [
        segmented("item-form", "Form", [["plain", "Plain JSON"], ["typed", "DynamoDB JSON"]], form, change),
        field("Item", text, item ? `${bytes(itemBytes(item))}. Another key makes another item.`
            : "Sets and binaries keep their type: {\"SS\": [\"a\"]}."),
    ], { submit: item ? "Save" : "Make the item", run, wide: true, extra: remove || [] });
}

/** What finds items: the key, and the condition on the sort key. */
function searchForm([hash, range], onAsk) {
    const hashInput = input("find-hash", { placeholder: "all items", "data-filter": true });
    const operator = select("find-operator", CONDITIONS, "", { "aria-label": "Condition on the sort key" });
    const [from, to] = ["find-range", "find-range-to"].map((id) =>
        input(id, { "aria-label": id === "find-range" ? "Sort key" : "Up to", hidden: true }));
    operator.addEventListener("change", () => {
        from.hidden = operator.value === "";
        to.hidden = operator.value !== "between";
    });
    const asked = () => ({ hash: hashInput.value, operator: operator.value, range: from.value, upTo: to.value });
    const onsubmit = (event) => {
        event.preventDefault();
        onAsk(asked());
    };
    return el("form.toolbar", { onsubmit, role: "search" },
        el("label", { for: "find-hash" }, hash.name, el("span.muted", ` ${hash.type} =`)), hashInput,
        range && [el("label", { for: "find-operator" }, range.name, el("span.muted", ` ${range.type}`)), operator, from, to],
        el("button", { type: "submit" }, "Find"));
}

/** The browser of a table's items. */
export function itemsBrowser({ name, keys, signal, onChange }) {
    const area = el("div", el("p.muted", "Reading…"));
    let asked = { hash: "", operator: "", range: "", upTo: "" };
    let starts = [undefined]; // where the pages before this one, and it, begin
    const changed = () => {
        onChange();
        return show();
    };
    const row = (item, columns) => {
        const cells = columns.map((column, i) => {
            const text = item[column] ? brief(item[column], 60) : "";
            return i === 0 ? button(text, () => editItem(name, keys, item, changed), "link") : text;
        });
        return { key: JSON.stringify(item), cells };
    };
    const draw = ({ Items: items, LastEvaluatedKey: last }) => {
        const columns = columnsOf(items, keys);
        const heads = columns.map((text, i) => ({ text, class: i < keys.length ? "key-column" : "" }));
        const turn = (pages) => { starts = pages; return show(); };
        update(area, items.length === 0 ? el("p.muted", "No items here.")
            : dataTable("Items", heads, items.map((item) => row(item, columns))),
        el("div.toolbar", { "data-key": `pages-${starts.length}-${last ? JSON.stringify(last) : ""}` },
            el("span.muted", plural(items.length, "item"), last ? " on this page" : ""), el("span.grow"),
            starts.length > 1 && button("Previous", () => turn(starts.slice(0, -1)), "small"),
            last && button("Next", () => turn([...starts, last]), "small")));
    };
    async function show() {
        try {
            const [operation, request] = requestOf(name, keys, asked);
            draw(await call(operation, { ...request, ExclusiveStartKey: starts.at(-1) }, signal));
        } catch (error) {
            if (error.name !== "Aborted") {
                update(area, problem(error));
            }
        }
    }
    show();
    const onAsk = (next) => {
        asked = next;
        starts = [undefined];
        show();
    };
    return el("section.card", el("div.card-head", el("h2", "Items"), el("span.grow"),
        button("Refresh", show, "small quiet"),
        button("New item", () => editItem(name, keys, null, changed), "small primary", { "data-new": true })),
    searchForm(keys, onAsk), area);
}
