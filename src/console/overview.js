// The overview: whether the cluster is well, what it does now and did in the last ten minutes, and its nodes.

import { call, poll } from "./api.js";
import { badge, commandLine, dataTable, el, empty, facts, link, pageHead, problem, tellError, update } from "./dom.js";
import { bytes, count, duration, plural, rate } from "./format.js";
import { listen, state } from "./state.js";

/** Clocks of nodes that differ by more keep records from being trimmed. */
const CLOCK_MILLIS_MAX = 10_000;
/** Followers are a few entries behind at any moment of load; this many is worth a look. */
const LAG_ENTRIES_MAX = 10_000;

const plural3 = (sample, name, words) => (sample?.[name] > 0 ? `${rate(sample[name])}/s ${words}` : null);

/** What a person should know, worst first: `[kind, text]`. */
function findings(cluster, sample) {
    const found = cluster.Nodes.filter((node) => !node.Alive).map((node) =>
        ["bad", `Node ${node.NodeId} (${node.Address}) does not answer. Other replicas lead its partitions meanwhile.`]);
    if (cluster.CatalogLeader === 0) {
        found.push(["bad", "No leader of the catalog is known: tables cannot be created or changed at the moment."]);
    }
    if (sample?.unavailable > 0) {
        found.push(["bad", "Some writes find no leader and do not happen."]);
    }
    if (sample?.unknown > 0) {
        found.push(["bad", "Some writes are not known to have happened: their leader was lost on the way."]);
    }
    for (const node of cluster.Nodes.filter(({ ClockOffsetMillis }) => Math.abs(ClockOffsetMillis) > CLOCK_MILLIS_MAX)) {
        const off = duration(node.ClockOffsetMillis);
        found.push(["warn", `The clock of node ${node.NodeId} is off by ${off}: nothing is trimmed until clocks agree.`]);
    }
    if (sample?.lag > LAG_ENTRIES_MAX) {
        found.push(["warn", `${count(sample.lag)} log entries are not readable in streams yet.`]);
    }
    return found;
}

function health(cluster, sample) {
    const found = findings(cluster, sample);
    if (found.length === 0) {
        const nodes = cluster.Nodes.length;
        return el("div.notice.ok", nodes === 1 ? "Healthy: the node answers." : `Healthy: all ${nodes} nodes answer.`);
    }
    return found.map(([kind, text]) => el("div.notice", { class: kind }, text));
}

function nodeRow(node, cluster, sample) {
    const rates = sample?.nodes.get(node.NodeId);
    const counters = node.Counters ?? {};
    const roles = [
        node.NodeId === cluster.CatalogLeader && badge("catalog", "", "This node leads the catalog"),
        node.NodeId === cluster.NodeId && badge("this", "", "This console is served by this node"),
    ];
    return {
        key: `node-${node.NodeId}`,
        cells: [
            [el("strong", `${node.NodeId} `), roles], el("span.mono", node.Address), node.Zone || "–",
            node.Alive ? badge("alive", "ok") : badge("no answer", "bad"),
            [count(node.Leads), el("span.muted", ` of ${count(node.Replicas)}`)],
            rate(rates?.writes), rate(rates?.reads), count(counters.StreamLagEntries),
            bytes(counters.LogDiskBytes), bytes(counters.ItemsDiskBytes),
            Math.abs(node.ClockOffsetMillis) < 1000 ? `${node.ClockOffsetMillis} ms` : duration(node.ClockOffsetMillis),
        ],
    };
}

function nodeTable(cluster, sample) {
    const heads = [
        "Node", "Address", "Zone", "State",
        { text: "Leads", class: "num", title: "Partitions this node leads, of those it has a replica of" },
        { text: "Writes/s", class: "num" }, { text: "Reads/s", class: "num" },
        { text: "Stream lag", class: "num", title: "Log entries that are not readable in streams yet" },
        { text: "Log", class: "num", title: "Disk the log takes" },
        { text: "Items", class: "num", title: "Disk the items take" },
        { text: "Clock", class: "num", title: "How far its clock is from that of the node that was asked" },
    ];
    return dataTable("Nodes", heads, cluster.Nodes.map((node) => nodeRow(node, cluster, sample)));
}

const PLOTS = [
    { name: "writes", title: "Writes", unit: "per second", format: rate },
    { name: "reads", title: "Reads", unit: "per second", format: rate },
    { name: "records", title: "Stream records read", unit: "per second", format: rate },
    { name: "lag", title: "Stream lag", unit: "entries", format: count },
];

/** The plots; their places are empty until what draws them was read. */
function createPlots() {
    const element = el("div.plots", PLOTS.map(() => el("figure.plot")));
    let plots = [];
    const draw = () => {
        const last = state.samples.at(-1);
        const notes = [
            plural3(last, "rejected", "rejected"), plural3(last, "unavailable", "unavailable"),
            plural3(last, "unknown", "unknown"),
        ].filter(Boolean).join(", ");
        for (const { name, plot } of plots) {
            const points = state.samples.map((sample) => ({ at: sample.at, value: sample[name] }));
            plot.draw(points, last?.at ?? Date.now(), name === "writes" ? notes : "");
        }
    };
    import("./plot.js").then(({ createPlot }) => {
        plots = PLOTS.map(({ name, title, unit, format }) => ({ name, plot: createPlot(title, unit, format) }));
        element.replaceChildren(...plots.map(({ plot }) => plot.element));
        draw();
    }).catch(tellError);
    return { element, draw };
}

const firstSteps = () => empty("There is no table yet",
    "A table holds items; turn its stream on, and every change of an item can be watched and delivered.",
    el("p", link("#/tables?new", "Create a table", { class: "button primary" })),
    el("p.muted", "Or from a terminal:"),
    commandLine("table create airports --key iata:S --stream NEW_AND_OLD_IMAGES"));

export function overviewPage({ root, signal }) {
    const plots = createPlots();
    const [head, status, steps, nodes] = [0, 1, 2, 3].map(() => el("div"));
    root.append(head, status, steps, plots.element, nodes);
    const draw = () => {
        const { cluster, clusterError } = state;
        const details = cluster ? facts(
            ["Cluster", el("span.mono", cluster.ClusterId)],
            ["Version", cluster.Version],
            ["Nodes", `${cluster.Nodes.filter(({ Alive }) => Alive).length} of ${plural(cluster.Nodes.length, "node")}`],
            ["Catalog leader", cluster.CatalogLeader === 0 ? "none known" : `node ${cluster.CatalogLeader}`]) : null;
        update(head, pageHead("Overview", details, link("/metrics", "Metrics for Prometheus", { target: "_blank" })));
        if (!cluster) {
            update(status, clusterError ? problem(clusterError) : el("p.muted", "Asking the node…"));
            return;
        }
        const sample = state.samples.at(-1);
        update(status, clusterError && clusterError.name !== "NoAnswer" ? problem(clusterError) : null,
            health(cluster, sample));
        plots.draw();
        update(nodes, el("section.card", el("h2", "Nodes"), nodeTable(cluster, sample)));
    };
    listen(signal, draw);
    draw();
    poll(signal, 10_000, async () => {
        const { TableNames } = await call("ListTables", { Limit: 1 }, signal);
        update(steps, TableNames.length === 0 ? firstSteps() : null);
    });
}
