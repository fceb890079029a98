// Keeps asking for the cluster's status and reckons rates from the counters, so that ten minutes of history are there
// whichever page is open.

import { call, poll } from "./api.js";
import { change, SPAN_MILLIS, state } from "./state.js";

const EVERY_MILLIS = 2000;
/** What is shown as a rate, and the counter it comes from. */
const RATES = {
    writes: "Writes", reads: "Reads", records: "StreamRecords",
    rejected: "WritesRejected", unavailable: "WritesUnavailable", unknown: "WritesUnknown",
};

/** Rates of a node per second since its last counters; null without, or after it started anew. */
function nodeRates(node, at) {
    const before = state.counters.get(node.NodeId);
    const seconds = before ? (at - before.at) / 1000 : 0;
    const differences = Object.entries(RATES).map(([name, counter]) =>
        [name, (node.Counters[counter] - (before?.counters[counter] ?? 0)) / seconds]);
    const isUsable = seconds > 0 && seconds < 60 && differences.every(([, value]) => value >= 0);
    return isUsable ? Object.fromEntries(differences) : null;
}

function sampleOf(cluster) {
    const answering = cluster.Nodes.filter((node) => node.Counters);
    const nodes = new Map(answering.map((node) => [node.NodeId, nodeRates(node, cluster.NowMillis)]));
    const known = [...nodes.values()].filter(Boolean);
    const sums = Object.keys(RATES).map((name) =>
        [name, known.length > 0 ? known.reduce((sum, rates) => sum + rates[name], 0) : null]);
    const lag = answering.reduce((sum, node) => sum + node.Counters.StreamLagEntries, 0);
    answering.forEach((node) => state.counters.set(node.NodeId, { at: cluster.NowMillis, counters: node.Counters }));
    return { at: Date.now(), nodes, lag: answering.length > 0 ? lag : null, ...Object.fromEntries(sums) };
}

/** Asks until the signal. Returns a function that asks at once. */
export function watchCluster(signal) {
    const ask = async () => {
        const cluster = await call("GetClusterStatus", {}, signal);
        const sample = sampleOf(cluster);
        const samples = state.samples.filter(({ at }) => at > sample.at - SPAN_MILLIS);
        change({ cluster, clusterError: null, samples: [...samples, sample] });
    };
    return poll(signal, EVERY_MILLIS, ask, (error) => change({ clusterError: error }));
}

/** What a node is called: its number, and its address in the title. */
export function nodeLabel(id) {
    const node = state.cluster?.Nodes.find(({ NodeId }) => NodeId === id);
    return { text: `node ${id}`, title: node ? `${node.Address}${node.Alive ? "" : ", does not answer"}` : undefined };
}
