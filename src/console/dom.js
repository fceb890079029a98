// Builds and updates the document. Everything shown becomes text nodes and attributes, never markup, so that nothing
// stored in a table can act on the page.

const SVG = "http://www.w3.org/2000/svg";

const isProperties = (part) => typeof part === "object" && !(part instanceof Node);

function setProperties(element, properties) {
    for (const [name, value] of Object.entries(properties)) {
        if (typeof value === "function") {
            element.addEventListener(name.slice(2), value);
        } else if (name === "vars") {
            Object.entries(value).forEach(([variable, text]) => element.style.setProperty(variable, text));
        } else if (name === "class") {
            element.classList.add(...value.split(" ").filter(Boolean));
        } else if (value !== false && value !== null && value !== undefined) {
            element.setAttribute(name, value === true ? "" : value);
        }
    }
}

function build(element, classes, parts) {
    if (classes.length > 0) {
        element.setAttribute("class", classes.join(" "));
    }
    for (const part of parts.flat(Infinity)) {
        if (part === null || part === undefined || part === false) {
            continue;
        }
        if (isProperties(part)) {
            setProperties(element, part);
        } else {
            element.append(part);
        }
    }
    return element;
}

/** Makes an element: `el("p.muted", {title: "..."}, "text", child)`. Functions are listeners, nothing is left out. */
export function el(tag, ...parts) {
    const [name, ...classes] = tag.split(".");
    return build(document.createElement(name), classes, parts);
}

/** Makes an SVG element, as `el` does. */
export function svg(tag, ...parts) {
    const [name, ...classes] = tag.split(".");
    return build(document.createElementNS(SVG, name), classes, parts);
}

const keyOf = (node) => node.dataset?.key;

/** The old child that becomes the fresh one: of the same key, or at the same place if neither has one. */
function partner(place, fresh, keyed) {
    const key = keyOf(fresh);
    const old = key === undefined ? place : keyed.get(key);
    return old && old.nodeName === fresh.nodeName && keyOf(old) === key ? old : null;
}

function morph(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
        if (old.data !== fresh.data) {
            old.data = fresh.data;
        }
        return;
    }
    for (const { name } of [...old.attributes]) {
        if (!fresh.hasAttribute(name) && name !== "open") {
            old.removeAttribute(name);
        }
    }
    for (const { name, value } of fresh.attributes) {
        if (old.getAttribute(name) === value) {
            continue;
        }
        if (name === "style") {
            old.style.cssText = value; // as an attribute it would be an inline style, which the page forbids itself
        } else {
            old.setAttribute(name, value);
        }
    }
    if (!/^(input|textarea|select)$/i.test(old.nodeName)) {
        morphChildren(old, [...fresh.childNodes]);
    }
}

function morphChildren(parent, fresh) {
    const keyed = new Map([...parent.children].filter(keyOf).map((child) => [keyOf(child), child]));
    let place = parent.firstChild;
    for (const node of fresh) {
        const old = partner(place, node, keyed);
        if (old === null) {
            parent.insertBefore(node, place);
            continue;
        }
        if (old === place) {
            place = place.nextSibling;
        } else {
            parent.insertBefore(old, place);
        }
        morph(old, node);
    }
    while (place) {
        const next = place.nextSibling;
        place.remove();
        place = next;
    }
}

/**
 * Makes the children of an element equal to these, changing as little as possible: focus, selection, scrolling and what
 * was typed stay. Elements that stay keep their listeners, so whatever stands for a certain thing needs a `data-key`.
 */
export function update(parent, ...children) {
    morphChildren(parent, [...build(document.createElement("div"), [], children).childNodes]);
}

/** A button. The listener may be asynchronous; what it throws is shown. */
export function button(text, onClick, kind = "", properties = {}) {
    const run = async () => {
        try {
            await onClick();
        } catch (error) {
            tellError(error);
        }
    };
    return el("button", { type: "button", class: kind, onclick: run, ...properties }, text);
}

export const link = (href, text, properties = {}) => el("a", { href, ...properties }, text);

/** A small label of a state: `ok`, `warn`, `bad` or nothing. */
export const badge = (text, kind = "", title = undefined) => el("span.badge", { class: kind, title }, text);

/** Says something for a few seconds, also to screen readers. */
export function tell(text, kind = "") {
    const area = document.getElementById("messages");
    const message = el("div.message", { class: kind }, text);
    area.append(message);
    setTimeout(() => message.remove(), kind === "bad" ? 12_000 : 5_000);
}

export function tellError(error) {
    if (error.name !== "Aborted") {
        tell(error.message, "bad");
    }
}

/** Says something to screen readers only. */
export function announce(text) {
    document.getElementById("announcements").textContent = text;
}

/** The head of a page: its name, what belongs to it, and what can be done. */
export function pageHead(title, details = [], actions = []) {
    return el("header.page-head",
        el("div", el("h1", { tabindex: "-1" }, title), details && el("div.details", details)),
        el("div.actions", actions));
}

/** A table. Heads are texts or `{text, class, title}`; rows are `{key, cells, ...properties of the row}`. */
export function dataTable(caption, heads, rows) {
    const columns = heads.map((head) => (typeof head === "string" ? { text: head } : head));
    const headCells = columns.map(({ text, ...properties }) => el("th", { scope: "col", ...properties }, text));
    const body = rows.map(({ key, cells, ...properties }) => el("tr", { "data-key": key, ...properties },
        cells.map((cell, i) => el("td", { class: columns[i]?.class ?? "" }, cell))));
    return el("div.scroll", { tabindex: "0", role: "region", "aria-label": caption },
        el("table", el("caption", caption), el("thead", el("tr", headCells)), el("tbody", body)));
}

/** What to say where nothing is yet: what it is, and what to do next. */
export const empty = (title, text, ...more) => el("div.empty", el("h2", title), el("p", text), more);

/** An error, in the place of what could not be shown. */
export const problem = (error) => el("div.notice.bad", { role: "alert" }, error.message);

/** Names with their values. */
export function facts(...pairs) {
    const entries = pairs.filter(Boolean).map(([name, value]) => el("div", el("dt", name), el("dd", value)));
    return el("dl.facts", entries);
}

async function copy(text, source) {
    try {
        await navigator.clipboard.writeText(text);
        tell("Copied");
    } catch {
        getSelection().selectAllChildren(source); // pages by plain http from elsewhere may not write the clipboard
        tell("Selected: copy it with the keyboard");
    }
}

/** A line of text to be taken elsewhere, with a button that copies it. */
export function copyable(text, label = "Copy") {
    const source = el("code", text);
    return el("div.copyable", source,
        button("Copy", () => copy(text, source), "quiet small", { "aria-label": `${label}: ${text.slice(0, 60)}` }));
}

/** A line of the command line program for this cluster. */
export function commandLine(command) {
    const isDefault = location.origin === "http://127.0.0.1:8000";
    return copyable(`watertable ${command}${isDefault ? "" : ` --endpoint ${location.origin}`}`);
}
