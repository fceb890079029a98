// The streams there are, also those that are off and still readable.

import { describeStream, forEach, listStreams, poll } from "./api.js";
import { input } from "./dialog.js";
import { badge, commandLine, dataTable, el, empty, link, pageHead, problem, update } from "./dom.js";
import { moment, plural } from "./format.js";
import { VIEW_TYPES } from "./streamswitch.js";

const EVERY_MILLIS = 4000;

function row(stream) {
    const isOn = stream.StreamStatus === "ENABLED";
    return {
        key: stream.StreamArn,
        cells: [
            link(`#/tables/${stream.TableName}`, stream.TableName, { class: "strong" }),
            badge(stream.StreamStatus.toLowerCase(), isOn ? "ok" : ""),
            VIEW_TYPES[stream.StreamViewType].title,
            moment(stream.CreationRequestDateTime * 1000),
            `${stream.Shards.filter((shard) => !shard.SequenceNumberRange.EndingSequenceNumber).length} open of `
                + plural(stream.Shards.length, "shard"),
            el("div.actions", link(`#/streams/${encodeURIComponent(stream.StreamArn)}`, isOn ? "Watch" : "Read",
                { class: "button small" })),
        ],
    };
}

const none = () => empty("No stream is on",
    "A stream records every change of a table's items. Open a table and turn its stream on.",
    el("p", link("#/tables", "Go to the tables", { class: "button primary" })),
    el("p.muted", "Or from a terminal:"), commandLine("stream enable airports"));

export function streamsPage({ root, signal }) {
    const filter = input("stream-filter", {
        type: "search", placeholder: "Filter by table", "aria-label": "Filter by table", "data-filter": true,
        oninput: () => draw(),
    });
    const area = el("div", el("p.muted", "Asking the node…"));
    root.append(pageHead("Streams", null, [filter]), area);
    let streams = null;
    const draw = () => {
        if (streams === null) {
            return;
        }
        const shown = streams.filter(({ TableName }) => TableName.toLowerCase().includes(filter.value.toLowerCase()));
        const heads = ["Table", "State", "Records show", "Since", "Shards", ""];
        update(area, streams.length === 0 ? none()
            : el("section.card", dataTable("Streams", heads, shown.map(row))));
    };
    poll(signal, EVERY_MILLIS, async () => {
        const listed = await listStreams(signal);
        const described = await forEach(listed, ({ StreamArn }) =>
            describeStream(StreamArn, signal).catch((error) => {
                if (error.name !== "ResourceNotFoundException") {
                    throw error;
                }
                return null;
            }));
        streams = described.filter(Boolean);
        draw();
    }, (error) => streams ?? update(area, problem(error)));
}
