// The frame around the pages: which one is open, the keys, the sign-in form, the theme, and the banner that says that the
// node does not answer. A page gets `{root, signal, query, parts}`; the signal tells it that it was left.

import { watchCluster } from "./cluster.js";
import { button, el, link, problem, tell, tellError, update } from "./dom.js";
import { clockText } from "./format.js";
import { overviewPage } from "./overview.js";
import { listen, state, useKey } from "./state.js";

/** The pages, each read when it is first opened, as dialogs and signing are: the first page is there sooner. */
const PAGES = [
    { path: "", title: "Overview", key: "o", all: async () => overviewPage },
    {
        path: "tables", title: "Tables", key: "t",
        all: async () => (await import("./tables.js")).tablesPage, one: async () => (await import("./table.js")).tablePage,
    },
    {
        path: "streams", title: "Streams", key: "s",
        all: async () => (await import("./streams.js")).streamsPage,
        one: async () => (await import("./stream.js")).streamPage,
    },
    {
        path: "triggers", title: "Triggers", key: "r",
        all: async () => (await import("./triggers.js")).triggersPage,
        one: async () => (await import("./trigger.js")).triggerPage,
    },
    { path: "consumers", title: "Consumers", key: "c", all: async () => (await import("./consumers.js")).consumersPage },
];
const THEME_STORE = "watertable.theme";
const THEMES = ["auto", "light", "dark"];
const KEYS = [
    ["/", "filter what the page shows"], ["n", "make something new on this page"], ["?", "these keys"],
    ["Escape", "close a dialog"], ...PAGES.map(({ key, title }) => [`g ${key}`, `go to ${title}`]),
];

let left = new AbortController();

/** Takes `#/tables/airports?new` apart. */
function placeOf(hash) {
    const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
    const [first, ...rest] = path.split("/");
    return { first, parts: rest.filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query) };
}

function open() {
    left.abort();
    left = new AbortController();
    document.querySelectorAll("dialog").forEach((dialog) => dialog.close()); // they belong to the page that is left
    const { first, parts, query } = placeOf(location.hash);
    const found = PAGES.find(({ path }) => path === first);
    const root = el("div.page");
    document.getElementById("page").replaceChildren(root);
    update(document.getElementById("pages"), PAGES.map(({ path, title }) =>
        link(`#/${path}`, title, { "aria-current": path === first ? "page" : null })));
    const load = parts.length > 0 ? found?.one : found?.all;
    document.title = [parts[0]?.split(":table/").at(-1), found?.title, "Watertable"].filter(Boolean).join(" · ");
    if (!load) {
        root.append(problem(new Error(`There is no page ${location.hash}`)));
        return;
    }
    const { signal } = left;
    scrollTo(0, 0);
    load().then((page) => signal.aborted || page({ root, signal, query, parts }), (error) => root.append(problem(error)));
}

// ---- keys

let isGoing = false;

async function showKeys() {
    const { openDialog } = await import("./dialog.js");
    openDialog("Keys", el("div.body", el("dl.keys",
        KEYS.map(([keys, text]) => el("div", el("dt", keys.split(" ").map((key) => el("kbd", key))), el("dd", text))))));
}

const isTyping = (element) => /^(input|textarea|select)$/i.test(element.nodeName) && element.type !== "radio";

function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog")) {
        return;
    }
    const wasGoing = isGoing;
    isGoing = false;
    const page = wasGoing && PAGES.find(({ key }) => key === event.key);
    if (page) {
        location.hash = `#/${page.path}`;
    } else if (event.key === "g") {
        isGoing = true;
    } else if (event.key === "?") {
        showKeys().catch(tellError);
    } else if (event.key === "/") {
        document.querySelector("[data-filter]")?.focus();
    } else if (event.key === "n") {
        document.querySelector("[data-new]")?.click();
    } else {
        return;
    }
    event.preventDefault();
}

// ---- who is signed in

async function signIn() {
    const { field, input, openForm } = await import("./dialog.js");
    const id = input("sign-in-id", { required: true, autofocus: true });
    const secret = input("sign-in-secret", { required: true, type: "password" });
    openForm("Sign in", [
        el("p", "This cluster has access keys: its endpoint takes signed requests only."),
        state.signIn && problem(new Error(state.signIn)),
        field("Access key id", id), field("Secret", secret, "Kept in this tab until it is closed."),
        el("p.muted", "A key is made on a node's machine with ", el("code", "watertable key create"), "."),
    ], {
        submit: "Sign in",
        run: () => {
            useKey({ id: id.value.trim(), secret: secret.value.trim() });
            refresh();
            open();
        },
    });
}

// ---- theme

function applyTheme(theme) {
    document.documentElement.dataset.theme = theme;
}

function nextTheme() {
    const theme = THEMES[(THEMES.indexOf(localStorage.getItem(THEME_STORE) ?? "auto") + 1) % THEMES.length];
    localStorage.setItem(THEME_STORE, theme);
    applyTheme(theme);
    tell(theme === "auto" ? "Light or dark as the system" : `Always ${theme}`);
}

// ---- what is said above all pages

function drawFrame() {
    const banner = document.getElementById("banner");
    if (state.signIn) {
        update(banner, el("div.notice.warn", { "data-key": "key" }, "The node wants a key. ",
            button("Sign in", signIn, "primary small")));
    } else if (state.lost) {
        update(banner, el("div.notice.bad", { "data-key": "lost" },
            `The node has not answered since ${clockText(state.lost.since)}: ${state.lost.message}. `
            + "What is shown may be old; it is asked again and again."));
    } else {
        update(banner);
    }
    update(document.getElementById("tools"),
        state.key && button(`Sign out ${state.key.id}`, () => { useKey(null); open(); }, "quiet small", { "data-key": "out" }),
        button("Theme", nextTheme, "quiet small", { title: "Light, dark, or as the system", "data-key": "theme" }),
        button("?", showKeys, "quiet small", { "aria-label": "Keys", "data-key": "keys" }));
}

applyTheme(localStorage.getItem(THEME_STORE) ?? "auto");
const refresh = watchCluster(new AbortController().signal);
listen(new AbortController().signal, drawFrame);
drawFrame();
addEventListener("hashchange", open);
addEventListener("keydown", onKey);
open();
// While the first page is looked at, the rest is read, so that it is there even if the node is not.
const rest = [...PAGES.flatMap(({ all, one }) => [all, one]), () => import("./sign.js")];
const readRest = () => rest.forEach((load) => load?.().catch(() => {}));
addEventListener("load", () => (globalThis.requestIdleCallback ?? setTimeout)(readRest));
