// DynamoDB's attribute values: shown, converted to plain JSON and back with their types kept, checked as the node will
// check them, measured and compared.

import { errorAt, parse, raw, write, writeLine } from "./json.js";

const TYPES = new Set(["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"]);
export const TYPE_NAMES = {
    S: "string", N: "number", B: "binary", BOOL: "boolean", NULL: "null", L: "list", M: "map",
    SS: "set of strings", NS: "set of numbers", BS: "set of binaries",
};
const ITEM_BYTES_MAX = 409_600;
const KEY_BYTES_MAX = { HASH: 2048, RANGE: 1024 };
const DEPTH_MAX = 32;
const DIGITS_MAX = 38;
const NUMBER = /^-?(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const encoder = new TextEncoder();
const utf8Bytes = (text) => encoder.encode(text).length;
const base64Bytes = (text) => (text.length / 4) * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);

/** The type and the content of an attribute value. */
export const typed = (value) => Object.entries(value)[0];

/** Why a text is no number of DynamoDB; null if it is one. */
export function numberFault(text) {
    const match = NUMBER.exec(text);
    if (!match) {
        return `${JSON.stringify(text)} is not a number`;
    }
    const [, whole, fraction = "", exponent = "0"] = match;
    const digits = (whole + fraction).replace(/^0+/, "");
    const significant = digits.replace(/0+$/, "");
    if (significant.length > DIGITS_MAX) {
        return `Numbers have at most ${DIGITS_MAX} digits, this one has ${significant.length}`;
    }
    const magnitude = Number(exponent) - fraction.length + digits.length - 1;
    const isWithin = significant === "" || (magnitude >= -130 && magnitude <= 125);
    return isWithin ? null : "This number is out of range: 1e-130 to 9.99e125";
}

export const isBase64 = (text) => BASE64.test(text);

/** What stands for a map of one member that is named like a type is written with types, so that it is not taken for one. */
const isAmbiguous = (map) => Object.keys(map).length === 1 && TYPES.has(Object.keys(map)[0]);

/** The plain JSON of a value. What plain JSON cannot tell (binary, sets) keeps its type: `{"SS": ["a"]}`. */
export function toPlain(value) {
    const [type, content] = typed(value);
    switch (type) {
        case "S":
        case "BOOL":
            return content;
        case "N":
            return raw(content);
        case "NULL":
            return null;
        case "L":
            return content.map(toPlain);
        case "M":
            return isAmbiguous(content) ? value : plainItem(content);
        default:
            return value;
    }
}

const plainItem = (item) =>
    Object.fromEntries(Object.entries(item).map(([name, value]) => [name, toPlain(value)]));

/** An item as text to be edited. */
export const writeItem = (item, form) => write(form === "plain" ? plainItem(item) : item);

/** A value on one line, cut at a length. */
export function brief(value, length = 80) {
    const [type, content] = typed(value);
    const whole = type === "S" ? content : type === "B" ? `${base64Bytes(content)} bytes` : writeLine(toPlain(value));
    return whole.length > length ? `${whole.slice(0, length)}…` : whole;
}

/** A value on one line, so that values of different types look different. */
export const line = (value) => writeLine(toPlain(value));

/** The names and values of a key, in the order of the key. */
export const keyText = (key, names = Object.keys(key)) =>
    names.filter((name) => key[name]).map((name) => brief(key[name], 60)).join(" · ");

/** Reads the text of an item in one of the two forms. Throws an error that names line and column. */
export function parseItem(text, form) {
    const reader = readerOf(text);
    const node = parse(text);
    if (node.kind !== "object") {
        throw errorAt(text, node.at, "An item is a JSON object");
    }
    const members = node.members.map(({ name, at, node: member }) => {
        if (name === "" || utf8Bytes(name) > 65_535) {
            throw errorAt(text, at, "An attribute needs a name");
        }
        return [name, form === "plain" ? reader.plain(member, 1) : reader.typed(member, 1)];
    });
    return Object.fromEntries(members);
}

/** What reads values out of the nodes of a text. */
function readerOf(text) {
    const fail = (node, message) => { throw errorAt(text, node.at, message); };
    const number = (node) => {
        const written = node.kind === "number" ? node.text : node.value;
        const fault = typeof written === "string" ? numberFault(written) : "A number is expected";
        return fault ? fail(node, fault) : written;
    };
    const string = (node) => (node.kind === "string" ? node.value : fail(node, "A string is expected"));
    const binary = (node) =>
        (node.kind === "string" && isBase64(node.value) ? node.value : fail(node, "Base64 text is expected"));
    const set = (node, read) => {
        if (node.kind !== "array" || node.items.length === 0) {
            fail(node, "A set is an array with at least one element");
        }
        const elements = node.items.map(read);
        const twice = elements.findIndex((element, i) => elements.indexOf(element) < i);
        return twice < 0 ? elements : fail(node.items[twice], "This is in the set twice");
    };
    const deep = (node, depth) => {
        if (depth > DEPTH_MAX) {
            fail(node, `Nested more than ${DEPTH_MAX} levels deep`);
        }
    };
    const list = (node, read, depth) => {
        deep(node, depth);
        return node.kind === "array" ? node.items.map((item) => read(item, depth + 1)) : fail(node, "An array is expected");
    };
    const map = (node, read, depth) => {
        deep(node, depth);
        return node.kind === "object"
            ? Object.fromEntries(node.members.map((member) => [member.name, read(member.node, depth + 1)]))
            : fail(node, "An object is expected");
    };
    const contents = {
        S: string,
        N: number,
        B: binary,
        BOOL: (node) => (node.kind === "boolean" ? node.value : fail(node, "true or false is expected")),
        NULL: (node) => (node.value === true ? true : fail(node, "true is expected")),
        SS: (node) => set(node, string),
        NS: (node) => set(node, number),
        BS: (node) => set(node, binary),
        L: (node, depth) => list(node, typedValue, depth),
        M: (node, depth) => map(node, typedValue, depth),
    };
    const isTyped = (node) =>
        node.kind === "object" && node.members.length === 1 && TYPES.has(node.members[0].name);
    function typedValue(node, depth) {
        if (!isTyped(node)) {
            fail(node, 'A value with its type is expected, like {"S": "text"} or {"N": "1"}');
        }
        const { name, node: content } = node.members[0];
        return { [name]: contents[name](content, depth) };
    }
    function plainValue(node, depth) {
        switch (node.kind) {
            case "string":
                return { S: node.value };
            case "number":
                return { N: number(node) };
            case "boolean":
                return { BOOL: node.value };
            case "null":
                return { NULL: true };
            case "array":
                return { L: list(node, plainValue, depth) };
            default:
                return isTyped(node) ? typedValue(node, depth) : { M: map(node, plainValue, depth) };
        }
    }
    return { plain: plainValue, typed: typedValue };
}

/** What is wrong with the key of an item; null if nothing is. `keys` are `{name, type, role}`. */
export function keyFault(item, keys) {
    for (const { name, type, role } of keys) {
        const title = role === "HASH" ? "partition key" : "sort key";
        if (!Object.hasOwn(item, name)) {
            return `The ${title} "${name}" is missing`;
        }
        const [is, content] = typed(item[name]);
        if (is !== type) {
            return `The ${title} "${name}" must be a ${TYPE_NAMES[type]}, not a ${TYPE_NAMES[is]}`;
        }
        const size = is === "B" ? base64Bytes(content) : utf8Bytes(content);
        if (size === 0 || (is !== "N" && size > KEY_BYTES_MAX[role])) {
            return `The ${title} "${name}" must have 1 to ${KEY_BYTES_MAX[role]} bytes, not ${size}`;
        }
    }
    return itemBytes(item) > ITEM_BYTES_MAX ? "The item is larger than 400 KB" : null;
}

/** The key of an item. */
export const keyOf = (item, keys) => Object.fromEntries(keys.map(({ name }) => [name, item[name]]));

function valueBytes(value) {
    const [type, content] = typed(value);
    const sum = (values, size) => values.reduce((total, element) => total + size(element), 0);
    switch (type) {
        case "S":
            return utf8Bytes(content);
        case "N":
            return Math.ceil(content.replace(/[^\d]/g, "").length / 2) + 1;
        case "B":
            return base64Bytes(content);
        case "SS":
            return sum(content, utf8Bytes);
        case "NS":
            return sum(content, (number) => valueBytes({ N: number }));
        case "BS":
            return sum(content, base64Bytes);
        case "L":
            return 3 + sum(content, (element) => 1 + valueBytes(element));
        case "M":
            return 3 + sum(Object.entries(content), ([name, member]) => 1 + utf8Bytes(name) + valueBytes(member));
        default:
            return 1;
    }
}

/** The size of an item, about as the node reckons it. */
export const itemBytes = (item) =>
    Object.entries(item).reduce((total, [name, value]) => total + utf8Bytes(name) + valueBytes(value), 0);

/** A text that is the same for equal values: sets and maps have no order. */
function canonical(value) {
    const [type, content] = typed(value);
    switch (type) {
        case "SS":
        case "NS":
        case "BS":
            return JSON.stringify([type, [...content].sort()]);
        case "L":
            return JSON.stringify([type, content.map(canonical)]);
        case "M":
            return JSON.stringify([type, Object.keys(content).sort().map((name) => [name, canonical(content[name])])]);
        default:
            return JSON.stringify(value);
    }
}

export const isEqual = (left, right) => left === right || (left && right && canonical(left) === canonical(right));

/** The leaves of a value: maps, lists and sets are taken apart, each leaf has its path. */
function leaves(path, value, into) {
    const [type, content] = typed(value);
    const isNested = (type === "L" || type === "M") && Object.keys(content).length > 0;
    if (type === "SS" || type === "NS" || type === "BS") {
        const element = type[0];
        content.forEach((text) => into.set(`${path} ∋ ${text}`, { [element]: text }));
    } else if (isNested) {
        const join = type === "L" ? (name) => `${path}[${name}]` : (name) => `${path}.${name}`;
        Object.entries(content).forEach(([name, member]) => leaves(join(name), member, into));
    } else {
        into.set(path, value);
    }
    return into;
}

/** Two items side by side: `{path, old, new, change}` of every leaf, where change is added, removed, changed or same. */
export function compare(oldItem, newItem) {
    const rows = [];
    const sides = [oldItem ?? {}, newItem ?? {}];
    const names = new Set(sides.flatMap((item) => Object.keys(item)));
    for (const name of names) {
        const [old, fresh] = sides.map((item) =>
            (Object.hasOwn(item, name) ? leaves(name, item[name], new Map()) : new Map()));
        for (const path of new Set([...old.keys(), ...fresh.keys()])) {
            const [before, after] = [old.get(path), fresh.get(path)];
            const change = !before ? "added" : !after ? "removed" : isEqual(before, after) ? "same" : "changed";
            rows.push({ path, old: before, new: after, change });
        }
    }
    return rows;
}
