// One stream, live: its records as they arrive, what each changed, its shards and what is left of their retention.

import { call, poll } from "./api.js";
import { input, segmented } from "./dialog.js";
import { announce, badge, button, dataTable, el, facts, link, pageHead, problem, update } from "./dom.js";
import { count, duration, moment, plural, shardName } from "./format.js";
import { manageStream, VIEW_TYPES } from "./streamswitch.js";
import { followStream } from "./tail.js";
import { brief, compare, keyText, line } from "./value.js";

const KEPT_MAX = 500;
const SHOWN_MAX = 200;
const DRAW_MILLIS = 120;
const EVENT_KINDS = { INSERT: "ok", MODIFY: "warn", REMOVE: "bad" };

/** What a record is searched in. */
const textOf = (record) => `${record.eventName} ${JSON.stringify(record.dynamodb)}`.toLowerCase();

/** What a person wants to know of a change, on one line. */
function summary({ eventName, dynamodb: { NewImage: fresh, OldImage: old } }) {
    if (fresh && old) {
        const rows = compare(old, fresh).filter(({ change }) => change !== "same");
        return rows.slice(0, 6).map(({ path, old: before, new: after }) => el("span.change",
            el("span.muted", `${path} `), before && el("del", brief(before, 30)), before && after && " → ",
            after && el("ins", brief(after, 30))));
    }
    const image = fresh ?? old;
    const text = image ? Object.entries(image).map(([name, value]) => `${name}: ${brief(value, 30)}`).join("  ") : "";
    return el("span", { class: eventName === "REMOVE" ? "muted" : "" }, text.slice(0, 200));
}

/** Both images, side by side, with what differs marked. */
function images({ dynamodb: { NewImage: fresh, OldImage: old, StreamViewType: view } }) {
    const show = VIEW_TYPES[view].images;
    if (show.length === 0) {
        return el("p.muted", "This stream shows keys only.");
    }
    const cell = (value, change, side) => el("td", { class: value ? `${change} ${side}` : "" }, value ? line(value) : "");
    const isBoth = show.length === 2;
    const rows = compare(old, fresh).map((row) => el("tr", { class: row.change },
        el("th", { scope: "row" }, row.path),
        show.includes("OldImage") && cell(row.old, isBoth ? row.change : "", "old"),
        show.includes("NewImage") && cell(row.new, isBoth ? row.change : "", "new")));
    return el("div.scroll", el("table.images",
        el("thead", el("tr", el("th", "Attribute"), show.includes("OldImage") && el("th", "Old image"),
            show.includes("NewImage") && el("th", "New image"))),
        el("tbody", rows)));
}

/** A record: a line that opens. */
function recordLine({ record, shard }) {
    const { eventName, eventID, dynamodb } = record;
    const body = el("div.record-body");
    const onToggle = ({ target }) => {
        if (target.open && body.childElementCount === 0) {
            body.append(facts(
                ["Sequence number", el("span.mono", dynamodb.SequenceNumber)],
                ["Event id", el("span.mono", eventID)],
                ["Shard", el("span.mono", { title: shard.ShardId }, shardName(shard.ShardId))],
                ["Size", `${count(dynamodb.SizeBytes)} bytes`],
                record.userIdentity && ["By", record.userIdentity.PrincipalId]), images(record));
        }
    };
    return el("details.record", { ontoggle: onToggle, "data-key": `${shard.ShardId} ${dynamodb.SequenceNumber}` },
        el("summary", badge(eventName.toLowerCase(), EVENT_KINDS[eventName]),
            el("span.when", moment(dynamodb.ApproximateCreationDateTime * 1000)),
            el("strong.record-key", keyText(dynamodb.Keys)), el("span.summary", summary(record))), body);
}

/** What has arrived, newest first, as far as it is kept. */
function createTail(area, filter) {
    let records = [];
    let waiting = [];
    let isPaused = false;
    let timer = 0;
    let total = 0;
    const head = el("div.toolbar");
    const list = el("div.records");
    area.append(head, list);
    const draw = () => {
        timer = 0;
        const wanted = filter.value.trim().toLowerCase();
        const shown = records.filter(({ record }) => wanted === "" || textOf(record).includes(wanted));
        update(list, records.length === 0
            ? el("div.empty", { "data-key": "empty" }, el("h2", "Waiting for changes"),
                el("p", "Change an item of the table, here or by any program, and its record appears."))
            : shown.slice(0, SHOWN_MAX).map((entry) => recordLine(entry)));
        update(head, el("span.muted", `${plural(total, "record")} so far`,
            wanted && `, ${count(shown.length)} of the last ${count(records.length)} match`,
            total > records.length + waiting.length && `, the last ${count(records.length)} are kept`),
        el("span.grow"), waiting.length > 0 && el("span", `${count(waiting.length)} more wait`));
    };
    const plan = () => { timer ||= setTimeout(draw, DRAW_MILLIS); };
    filter.addEventListener("input", plan);
    draw();
    return {
        add(page, shard) {
            const entries = page.map((record) => ({ record, shard }));
            total += entries.length;
            if (isPaused) {
                waiting = [...entries.reverse(), ...waiting].slice(0, KEPT_MAX);
            } else {
                records = [...entries.reverse(), ...records].slice(0, KEPT_MAX);
                announce(`${plural(page.length, "record")} arrived`);
            }
            plan();
        },
        pause(next) {
            isPaused = next;
            if (!isPaused) {
                records = [...waiting, ...records].slice(0, KEPT_MAX);
                waiting = [];
            }
            plan();
        },
        clear() {
            [records, waiting, total] = [[], [], 0];
            plan();
        },
    };
}

/** The shards by partition, each below the one it follows, with what is left of the time its oldest record is kept. */
function shardsCard(described, arn, now) {
    const rows = described.Partitions.flatMap((partition) => partition.Shards
        .filter(({ StreamArn }) => StreamArn === arn)
        .map((shard) => {
            const age = shard.OldestMillis ? now - shard.OldestMillis : null;
            const left = age === null ? null : Math.max(0, described.RetentionMillis - age);
            return {
                key: shard.ShardId,
                cells: [
                    el("span.mono", { title: shard.ShardId }, shardName(shard.ShardId)),
                    badge(shard.Open ? "open" : "closed", shard.Open ? "ok" : ""), partition.PartitionId,
                    partition.Leader ? `node ${partition.Leader}` : "–",
                    shard.OldestMillis ? moment(shard.OldestMillis) : "–",
                    left === null ? "–" : el("span.meter-cell",
                        el("meter", { min: 0, max: 1, value: left / described.RetentionMillis, "aria-label": "Retention left" }),
                        ` ${duration(left)}`),
                ],
            };
        }));
    const heads = [
        "Shard", "State", { text: "Partition", class: "num" }, "Leader", "Oldest record",
        { text: "Kept for", title: "How long its oldest record is still kept" },
    ];
    return el("details.card", { "data-key": "shards" },
        el("summary", el("h2", plural(rows.length, "shard")),
            el("span.muted", ` each the changes of one partition; kept ${duration(described.RetentionMillis)}`)),
        dataTable("Shards", heads, rows));
}

export function streamPage({ root, signal, parts: [arn] }) {
    const table = arn.split(":table/").at(-1).split("/")[0];
    const [head, shards, area] = [0, 1, 2].map(() => el("div"));
    const filter = input("record-filter", {
        type: "search", placeholder: "Filter: a key, an event, any text", "aria-label": "Filter records", "data-filter": true,
    });
    const tail = createTail(area, filter);
    let following = new AbortController();
    const failed = el("div");
    const follow = (start) => {
        following.abort();
        following = new AbortController();
        const until = AbortSignal.any([signal, following.signal]);
        tail.clear();
        followStream(arn, start, until, {
            onStream: drawHead,
            onRecords: (page, shard) => { update(failed); tail.add(page, shard); },
            onError: (error) => update(failed, problem(error)),
        });
    };
    const pauses = el("input", { type: "checkbox", id: "paused", onchange: ({ target }) => tail.pause(target.checked) });
    root.append(head, el("section.card", el("div.toolbar",
        segmented("start", "Begin with", [["LATEST", "New records"], ["TRIM_HORIZON", "All that is kept"]], "LATEST", follow),
        filter, el("label.check", pauses, " Pause"), el("span.grow"),
        button("Clear", () => tail.clear(), "small quiet")), failed, area), shards);
    function drawHead(stream) {
        const isOn = stream.StreamStatus === "ENABLED";
        const view = VIEW_TYPES[stream.StreamViewType];
        update(head, pageHead([link(`#/tables/${table}`, table), " stream"], facts(
            ["State", badge(stream.StreamStatus.toLowerCase(), isOn ? "ok" : "")],
            ["Records show", el("span", { title: view.text }, view.title)],
            ["Since", moment(stream.CreationRequestDateTime * 1000)]),
        button("Manage stream", () => manageStream(table, () => {}), "", { "data-key": "manage" })));
    }
    poll(signal, 5000, async () => {
        const described = await call("DescribePartitions", { TableName: table }, signal);
        update(shards, shardsCard(described, arn, Date.now()));
    });
    follow("LATEST");
}
