// The one place of what all pages share: who is signed in, whether the node answers, and what the cluster last said.
// Pages read `state`, change it through `change`, and hear of changes through `listen`.

const KEY_STORE = "watertable.key";

/** How far back rates and lags are kept and plotted. */
export const SPAN_MILLIS = 600_000;

export const state = {
    /** The access key requests are signed with; null: they are not, which a cluster without keys accepts. */
    key: JSON.parse(sessionStorage.getItem(KEY_STORE) ?? "null"),
    /** Why the node wants a key, while it does. */
    signIn: null,
    /** How far the node's clock is ahead of the browser's, as far as a signature was refused for it. */
    clockOffsetMillis: 0,
    /** Since when and why the node does not answer; null while it does. */
    lost: null,
    /** The last answer of GetClusterStatus, and why there is none. */
    cluster: null,
    clusterError: null,
    /** Rates and lags of the last `SPAN_MILLIS`, oldest first. */
    samples: [],
    /** Of each node, the counters that the next rates are reckoned from. */
    counters: new Map(),
};

const listeners = new Set();

/** Calls the listener after each change, until the signal. */
export function listen(signal, listener) {
    listeners.add(listener);
    signal.addEventListener("abort", () => listeners.delete(listener));
}

/** Changes the state and tells the listeners. */
export function change(changes) {
    Object.assign(state, changes);
    for (const listener of [...listeners]) {
        listener();
    }
}

/** Signs in, or out with null: then what was shown is forgotten. The key lives as long as the tab. */
export function useKey(key) {
    if (key) {
        sessionStorage.setItem(KEY_STORE, JSON.stringify(key));
    } else {
        sessionStorage.removeItem(KEY_STORE);
        state.counters.clear();
        change({ cluster: null, clusterError: null, samples: [] });
    }
    change({ key, signIn: null });
}

/** Whether nothing should be asked for now: nobody looks, or the node first wants a key. */
export const isIdle = () => document.hidden || state.signIn !== null;
