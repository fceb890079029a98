// The triggers, and the form that makes and changes one.

import { call, listTables, poll } from "./api.js";
import { checkbox, field, input, openForm, select } from "./dialog.js";
import { badge, button, commandLine, dataTable, el, empty, link, pageHead, problem, tell, update } from "./dom.js";
import { duration } from "./format.js";

const EVERY_MILLIS = 2000;
const STARTS = [["LATEST", "With what changes from now on"], ["TRIM_HORIZON", "With the oldest records kept"]];

/** How far behind the shard is that is behind most. */
export const lagOf = (trigger) => Math.max(0, ...trigger.Shards.map(({ LagMillis }) => LagMillis ?? 0));

export const stateBadge = ({ State: state }) => badge(state.toLowerCase(), state === "Enabled" ? "ok" : "warn");

export const resultBadge = ({ LastResult: result }) =>
    el("span", { class: result.startsWith("PROBLEM") ? "badge bad" : "muted", title: result }, result.slice(0, 60));

const none = (create) => empty("There is no trigger yet",
    "A trigger calls a function, by HTTP, with each batch of changes of a table: any web address, or a Lambda container.",
    el("p", button("Create a trigger", create, "primary")), el("p.muted", "Or from a terminal:"),
    commandLine("trigger create airports http://localhost:8080/hook"));

/** What a form says of the settings that all triggers have. */
function settingsFields(settings = {}) {
    const number = (id, name, fallback, hint, properties = {}) => {
        const box = input(id, { type: "number", value: settings[name] ?? fallback, required: true, ...properties });
        return { element: field(hint[0], box, hint[1]), name, read: () => Number(box.value) };
    };
    const numbers = [
        number("batch-size", "BatchSize", 100, ["Batch size", "most records of one call"], { min: 1, max: 10_000 }),
        number("window", "MaximumBatchingWindowMillis", 0, ["Batching window, ms", "how long a batch gathers"],
            { min: 0, max: 300_000 }),
        number("retries", "MaximumRetryAttempts", -1, ["Retries", "−1: until records are too old"], { min: -1, max: 10_000 }),
        number("parallel", "ParallelizationFactor", 1, ["Calls of one shard at once", "each key stays in order"],
            { min: 1, max: 10 }),
        number("timeout", "TimeoutMillis", 60_000, ["A call may take, ms", "then it has failed"], { min: 1, max: 900_000 }),
    ];
    const bisect = checkbox("bisect", "Try failed batches again in halves", settings.BisectBatchOnFunctionError,
        "a record that fails does not hold up the others");
    const report = checkbox("report", "The answer says which records failed", settings.ReportBatchItemFailures,
        "batchItemFailures");
    const filters = el("textarea.mono", { id: "filters", rows: 3, spellcheck: "false" });
    filters.value = (settings.Filters ?? []).join("\n");
    const onFailure = input("on-failure", { value: settings.OnFailure ?? "", placeholder: "table:failures or http://…" });
    return {
        elements: [
            el("div.fields", numbers.map(({ element }) => element)), bisect.element, report.element,
            field("Filters, one a line", filters, 'Patterns like {"eventName": ["INSERT"]}; none: everything.'),
            field("Records that are given up go to", onFailure, "A table keeps them whole, to be delivered again."),
        ],
        read: () => ({
            ...Object.fromEntries(numbers.map(({ name, read }) => [name, read()])),
            BisectBatchOnFunctionError: bisect.box.checked,
            ReportBatchItemFailures: report.box.checked,
            Filters: filters.value.split("\n").map((text) => text.trim()).filter(Boolean),
            OnFailure: onFailure.value.trim(),
        }),
    };
}

const targetField = (target = "") => input("target", {
    required: true, type: "url", value: target, placeholder: "http://localhost:8080/hook",
});
const TARGET_HINT = "A webhook, or Lambda's Invoke API: …/2015-03-31/functions/NAME/invocations";

async function createTrigger(onDone) {
    const tables = await listTables();
    const table = select("trigger-table", tables.map((name) => [name, name]), undefined, { autofocus: true });
    const target = targetField();
    const start = select("trigger-start", STARTS);
    const settings = settingsFields();
    openForm("Create a trigger", [
        field("Table", table, "Its stream has to be on."), field("Function", target, TARGET_HINT), field("Begins", start),
        el("details", el("summary", "More settings"), settings.elements),
    ], {
        submit: "Create trigger",
        wide: true,
        run: async () => {
            await call("CreateTrigger", {
                TableName: table.value, Target: target.value, StartingPosition: start.value, ...settings.read(),
            });
            tell("The trigger is created", "ok");
            onDone();
        },
    });
}

/** The form that changes a trigger. */
export function changeTrigger(trigger, onDone) {
    const target = targetField(trigger.Target);
    const settings = settingsFields(trigger.Settings);
    openForm("Change the trigger", [field("Function", target, TARGET_HINT), settings.elements], {
        submit: "Save",
        wide: true,
        run: async () => {
            await call("UpdateTrigger", { TriggerId: trigger.TriggerId, Target: target.value, ...settings.read() });
            onDone();
        },
    });
}

function row(trigger) {
    const href = `#/triggers/${trigger.TriggerId}`;
    return {
        key: trigger.TriggerId,
        cells: [
            link(href, trigger.Target, { class: "strong mono" }), link(`#/tables/${trigger.TableName}`, trigger.TableName),
            stateBadge(trigger), duration(lagOf(trigger)), resultBadge(trigger),
        ],
    };
}

export function triggersPage({ root, signal }) {
    const create = () => createTrigger(() => refresh());
    const area = el("div", el("p.muted", "Asking the node…"));
    root.append(pageHead("Triggers", null, button("Create trigger", create, "primary", { "data-new": true })), area);
    const heads = ["Function", "Table", "State", { text: "Lag", class: "num" }, "Last result"];
    const refresh = poll(signal, EVERY_MILLIS, async () => {
        const { Triggers: triggers } = await call("ListTriggers", {}, signal);
        update(area, triggers.length === 0 ? none(create)
            : el("section.card", dataTable("Triggers", heads, triggers.map(row))));
    }, (error) => update(area, problem(error)));
}
