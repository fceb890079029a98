// One trigger: what it does, how far it has come, what went wrong, and the records that were given up.

import { call, poll } from "./api.js";
import { confirm, field, openForm, select } from "./dialog.js";
import { badge, button, dataTable, el, facts, link, pageHead, problem, tell, update } from "./dom.js";
import { count, duration, moment, plural, shardName } from "./format.js";
import { changeTrigger, lagOf, resultBadge, stateBadge } from "./triggers.js";

const EVERY_MILLIS = 1500;
const FAILURES = 100;
const none = (value) => (value === -1 ? "no limit" : count(value));

function settingsFacts({ Settings: settings, CreatedMillis: created, TableName: table, StreamArn: arn }) {
    return facts(
        ["Table", link(`#/tables/${table}`, table)], arn && ["Only the stream", el("span.mono", arn.split("/").at(-1))],
        ["Created", moment(created)], ["Batch size", count(settings.BatchSize)],
        ["Batching window", duration(settings.MaximumBatchingWindowMillis)],
        ["Retries", none(settings.MaximumRetryAttempts)],
        ["Record age", settings.MaximumRecordAgeSeconds === -1 ? "while it is kept"
            : duration(settings.MaximumRecordAgeSeconds * 1000)],
        ["Calls of one shard at once", settings.ParallelizationFactor],
        settings.BisectBatchOnFunctionError && ["Failed batches", "are halved"],
        settings.ReportBatchItemFailures && ["Answers", "say which records failed"],
        settings.TumblingWindowSeconds > 0 && ["Tumbling window", duration(settings.TumblingWindowSeconds * 1000)],
        settings.OnFailure && ["Given up go to", el("span.mono", settings.OnFailure)],
        settings.Filters?.length > 0 && ["Filters", el("pre", settings.Filters.join("\n"))]);
}

function shardRow(shard) {
    return {
        key: shard.ShardId,
        cells: [
            el("span.mono", { title: shard.ShardId }, shardName(shard.ShardId)),
            shard.Done ? badge("done") : shard.Node ? `node ${shard.Node}` : "–",
            shard.LagMillis === 0 ? badge("level", "ok") : duration(shard.LagMillis),
            shard.Attempts > 0 ? badge(`${plural(shard.Attempts, "attempt")} failed`, "bad") : "–",
            shard.LastError ? [shard.LastError, " ", el("span.muted", moment(shard.LastErrorMillis))] : "–",
        ],
    };
}

const shardsCard = (trigger) => el("section.card", el("h2", "Shards"), dataTable("Shards", [
    "Shard", "Delivered by", { text: "Lag", title: "Age of the oldest record that is not delivered" }, "Trying", "Last error",
], trigger.Shards.map(shardRow)));

function rewind(id, onDone) {
    const place = select("rewind-to", [["TRIM_HORIZON", "The oldest records kept"], ["LATEST", "Behind the newest record"]]);
    openForm("Rewind the trigger", [
        field("Go on with", place), el("p.muted", "Records that were delivered before are delivered again, or skipped."),
    ], {
        submit: "Rewind",
        run: async () => {
            await call("RewindTrigger", { TriggerId: id, StartingPosition: place.value });
            onDone();
        },
    });
}

function failureRow(failure) {
    const record = el("details", el("summary", "Record"), el("pre", JSON.stringify(JSON.parse(failure.Record), null, 2)));
    return {
        key: failure.FailureId,
        cells: [
            el("time", { title: failure.FailedAt }, failure.FailedAt), failure.Condition, failure.Attempts,
            failure.Error ?? "–", record,
        ],
    };
}

async function redrive(id, onDone) {
    const done = await call("RedriveTrigger", { TriggerId: id, Limit: FAILURES });
    const failed = done.Failed > 0 ? `, ${count(done.Failed)} failed again: ${done.Error}` : "";
    tell(`${plural(done.Redriven, "record")} delivered${failed}`, done.Failed > 0 ? "bad" : "ok");
    onDone();
}

async function failuresCard(trigger, signal, onDone) {
    if (!trigger.Settings.OnFailure?.startsWith("table:")) {
        return null;
    }
    const { Failures: failures, LastFailureId: last } =
        await call("ListFailures", { TriggerId: trigger.TriggerId, Limit: FAILURES }, signal);
    const heads = ["When", "Why", { text: "Calls", class: "num" }, "Error", "What"];
    const title = `${count(failures.length)}${last ? " or more" : ""} given up`;
    return el("section.card", el("div.card-head", el("h2", title), el("span.grow"),
        failures.length > 0 && button("Deliver again", () => redrive(trigger.TriggerId, onDone), "primary small",
            { "data-key": "redrive" })),
    failures.length === 0 ? el("p.muted", "Nothing was given up.")
        : dataTable("Records that were given up", heads, failures.map(failureRow)));
}

export function triggerPage({ root, signal, parts: [id] }) {
    const [head, shards, failures] = [0, 1, 2].map(() => el("div"));
    root.append(head, shards, failures);
    const remove = () => confirm("Delete the trigger", "How far it has come is forgotten.", "Delete the trigger", async () => {
        await call("DeleteTrigger", { TriggerId: id });
        location.hash = "#/triggers";
    });
    const toggle = async (Enabled) => {
        await call("UpdateTrigger", { TriggerId: id, Enabled });
        refresh();
    };
    const draw = (trigger) => {
        const isOn = trigger.State === "Enabled";
        update(head, pageHead(el("span.mono", trigger.Target),
            [facts(["State", stateBadge(trigger)], ["Lag", duration(lagOf(trigger))], ["Last result", resultBadge(trigger)]),
                settingsFacts(trigger)],
            [button(isOn ? "Pause" : "Resume", () => toggle(!isOn), isOn ? "" : "primary", { "data-key": `toggle-${isOn}` }),
                button("Change", () => changeTrigger(trigger, refresh), "", { "data-key": `change-${trigger.UpdatedMillis}` }),
                button("Rewind", () => rewind(id, refresh), "", { "data-key": "rewind" }),
                button("Delete", remove, "quiet", { "data-key": "delete" })]));
        update(shards, shardsCard(trigger));
    };
    const refresh = poll(signal, EVERY_MILLIS, async () => {
        const { Trigger: trigger } = await call("DescribeTrigger", { TriggerId: id }, signal);
        draw(trigger);
        update(failures, await failuresCard(trigger, signal, () => refresh()));
    }, (error) => update(failures, problem(error)));
}
