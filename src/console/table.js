// One table: what it is, its stream, where its partitions are, and its items.

import { call, poll } from "./api.js";
import { nodeLabel } from "./cluster.js";
import { button, dataTable, el, facts, link, pageHead, problem, update } from "./dom.js";
import { bytes, count, duration, moment, plural } from "./format.js";
import { itemsBrowser } from "./items.js";
import { streamPanel } from "./streamswitch.js";
import { deleteTable, keyChips, keysOf, statusBadge } from "./tables.js";

const EVERY_MILLIS = 3000;
const COLOURS = 6;

/** The part of all hashes that a partition has. */
const share = ({ HashStart, HashEnd }) =>
    Number(((BigInt(`0x${HashEnd}`) - BigInt(`0x${HashStart}`) + 1n) * 10_000n) >> 64n) / 100;

const colourOf = (node) => (node === undefined ? "nobody" : `node-${(node - 1) % COLOURS}`);

function hashMap(partitions) {
    const segments = partitions.map((partition) => {
        const leader = partition.Leader === undefined ? "no leader" : `led by node ${partition.Leader}`;
        const title = `Partition ${partition.PartitionId}: ${partition.HashStart} to ${partition.HashEnd}, ${leader}`;
        return el("li", { class: colourOf(partition.Leader), title, vars: { "--share": share(partition) } },
            el("span", partition.Leader === undefined ? "–" : `n${partition.Leader}`));
    });
    return el("ol.hash-map", { "aria-label": "Partitions on the range of hashes, coloured by leader" }, segments);
}

function partitionRow(partition) {
    const node = (id) => {
        const { text, title } = nodeLabel(id);
        return el("span", { title, class: id === partition.Leader ? "strong" : "muted" }, text, " ");
    };
    const open = partition.Shards.find((shard) => shard.Open);
    return {
        key: `partition-${partition.PartitionId}`,
        cells: [
            partition.PartitionId,
            el("span.mono", `${partition.HashStart} – ${partition.HashEnd}`),
            `${share(partition)} %`,
            partition.Leader === undefined ? el("span.badge.bad", "none") : node(partition.Leader),
            partition.Replicas.map(node), partition.Term,
            open ? el("span.mono", { title: open.ShardId }, open.ShardId.slice(-8)) : "–",
        ],
    };
}

function partitionsCard({ Partitions: partitions, RetentionMillis: retention }) {
    const heads = [
        { text: "Partition", class: "num" }, "Hashes", { text: "Share", class: "num" }, "Leader", "Replicas",
        { text: "Term", class: "num" }, "Open shard",
    ];
    return el("details.card", { "data-key": "partitions" },
        el("summary", el("h2", plural(partitions.length, "partition")),
            el("span.muted", ` spread over ${plural(new Set(partitions.map((it) => it.Leader)).size, "node")}; `
                + `records are kept ${duration(retention)}`),
            hashMap(partitions)),
        dataTable("Partitions", heads, partitions.map(partitionRow)));
}

export function tablePage({ root, signal, parts: [name] }) {
    const [head, stream, partitions, items] = [0, 1, 2, 3].map(() => el("div"));
    root.append(head, stream, partitions, items);
    update(head, pageHead(name));
    let browser = null;
    const draw = (table) => {
        update(head, pageHead(name, facts(
            ["Status", statusBadge(table.TableStatus)], ["Key", keyChips(table)],
            ["Items", count(table.ItemCount)], ["Size", bytes(table.TableSizeBytes)],
            ["Created", moment(table.CreationDateTime * 1000)]),
        button("Delete table", () => deleteTable(name, () => { location.hash = "#/tables"; }), "quiet")));
        update(stream, streamPanel(table, refresh));
        if (!browser && table.TableStatus !== "CREATING") {
            browser = itemsBrowser({ name, keys: keysOf(table), signal, onChange: () => refresh() });
            items.append(browser);
        }
    };
    const refresh = poll(signal, EVERY_MILLIS, async () => {
        const { Table: table } = await call("DescribeTable", { TableName: name }, signal);
        draw(table);
        update(partitions, partitionsCard(await call("DescribePartitions", { TableName: name }, signal)));
    }, (error) => {
        if (error.name === "ResourceNotFoundException") {
            update(head, pageHead(name));
            update(stream, problem(new Error(`There is no table ${name}.`)), el("p", link("#/tables", "All tables")));
            [partitions, items].forEach((area) => area.replaceChildren());
        }
    });
}
