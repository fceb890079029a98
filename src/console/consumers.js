// The consumers: who takes part in each, how far it has come, and whether it is about to lose records.

import { call, poll } from "./api.js";
import { confirmByName } from "./dialog.js";
import { badge, button, commandLine, dataTable, el, empty, facts, link, pageHead, problem, tell, update } from "./dom.js";
import { duration, moment, plural, shardName } from "./format.js";

const EVERY_MILLIS = 2000;
const PHASES = { Copy: ["copying the table", "warn"], Stream: ["following", "ok"], Done: ["done", ""] };

const none = () => empty("There is no consumer yet",
    "A consumer is a name under which programs share a table's stream. The cluster keeps how far they have come, and they "
    + "may begin with a copy of the table.",
    el("p.muted", "Take part in one from a terminal, or by gRPC (watertable.v1.Consumers):"),
    commandLine("consumer read airports search-index --from snapshot"));

function shardRow(shard, consumer) {
    const member = consumer.Members.find(({ MemberId }) => MemberId === shard.MemberId);
    const [phase, kind] = PHASES[shard.Phase];
    return {
        key: `${shard.StreamArn} ${shard.ShardId}`,
        cells: [
            el("span.mono", { title: shard.ShardId }, shardName(shard.ShardId)), badge(phase, kind),
            member ? `${memberName(member)} on node ${member.NodeId}` : "nobody",
            shard.LagMillis === 0 ? badge("level", "ok") : duration(shard.LagMillis),
            el("span.mono", shard.SequenceNumber ?? "–"),
        ],
    };
}

const memberName = ({ MemberId }) => `…${String(MemberId).slice(-5)}`;

function consumerCard(consumer, refresh) {
    const { Name: name, TableName: table } = consumer;
    const remove = () => confirmByName(`Delete consumer ${name}`, name,
        "Its members' calls end, and how far it has come is forgotten.", "Delete the consumer", async () => {
            await call("DeleteConsumer", { TableName: table, Name: name });
            tell(`Consumer ${name} is deleted`);
            refresh();
        });
    const heads = ["Shard", "Phase", "Read by", "Lag", "Acknowledged before"];
    return el("section.card", { "data-key": `${table}/${name}` },
        el("div.card-head", el("h2", name), el("span.grow"), button("Delete", remove, "small quiet")),
        consumer.AtRisk && el("div.notice.bad", { role: "alert" },
            "It is behind by more than half of what the stream keeps: it is about to lose records."),
        facts(["Table", link(`#/tables/${table}`, table)], ["Started", consumer.StartingPosition],
            ["Created", moment(consumer.CreatedMillis)],
            ["Members", consumer.Members.length === 0 ? badge("nobody reads", "warn") : plural(consumer.Members.length, "member")],
            ["Lag", consumer.LagMillis === 0 ? badge("level", "ok") : duration(consumer.LagMillis)]),
        dataTable(`Shards of ${name}`, heads, consumer.Shards.map((shard) => shardRow(shard, consumer))));
}

export function consumersPage({ root, signal }) {
    const area = el("div", el("p.muted", "Asking the node…"));
    root.append(pageHead("Consumers"), area);
    const refresh = poll(signal, EVERY_MILLIS, async () => {
        const { Consumers: consumers } = await call("ListConsumers", {}, signal);
        update(area, consumers.length === 0 ? none() : consumers.map((consumer) => consumerCard(consumer, () => refresh())));
    }, (error) => update(area, problem(error)));
}
