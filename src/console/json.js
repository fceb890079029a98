// Reads and writes JSON without losing a digit. What people type is read into nodes that know where they stand in the
// text, so that each complaint can name its line; numbers stay the text they are.

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORD = /true|false|null/y;
const DEPTH_MAX = 100;
const LINE_WIDTH = 88;
const RAW = Symbol("raw");

/** An error at a place of a text, whose message names line and column. */
export function errorAt(text, at, message) {
    const before = text.slice(0, at).split("\n");
    const line = before.length;
    return Object.assign(new Error(`Line ${line}, column ${before.at(-1).length + 1}: ${message}`), { line, at });
}

/**
 * Reads a text into nodes: `{kind, at, ...}` with `value` of strings, booleans and null, `text` of numbers, `items` of
 * arrays, and `members` (name, node and place of the name) of objects.
 */
export function parse(text) {
    let at = 0;
    let depth = 0;
    const fail = (message) => { throw errorAt(text, at, message); };
    const take = (pattern) => {
        pattern.lastIndex = at;
        const found = pattern.exec(text)?.[0];
        at += found?.length ?? 0;
        return found;
    };
    const skip = (character) => {
        take(SPACE);
        const is = text[at] === character;
        at += is ? 1 : 0;
        return is;
    };
    const string = () => {
        const found = take(STRING) ?? fail("This string does not end, or has a character that must be escaped");
        return JSON.parse(found);
    };
    const sequence = (close, element) => {
        const elements = [];
        if (skip(close)) {
            return elements;
        }
        do {
            take(SPACE);
            elements.push(element());
        } while (skip(","));
        return skip(close) ? elements : fail(`Expected a comma or ${close}`);
    };
    const names = () => {
        const seen = new Set();
        return () => {
            const nameAt = at;
            const name = text[at] === '"' ? string() : fail("Expected a name in double quotes");
            if (seen.has(name)) {
                at = nameAt;
                fail(`"${name}" is there twice`);
            }
            seen.add(name);
            return skip(":") ? { name, at: nameAt, node: value() } : fail(`Expected a colon after "${name}"`);
        };
    };
    const value = () => {
        take(SPACE);
        const start = at;
        const first = text[at];
        if (first === "{" || first === "[") {
            at += 1;
            depth += 1;
            if (depth > DEPTH_MAX) {
                fail("Nested too deeply");
            }
            const node = first === "{"
                ? { kind: "object", at: start, members: sequence("}", names()) }
                : { kind: "array", at: start, items: sequence("]", value) };
            depth -= 1;
            return node;
        }
        if (first === '"') {
            return { kind: "string", at: start, value: string() };
        }
        const word = take(WORD);
        if (word) {
            return { kind: word === "null" ? "null" : "boolean", at: start, value: JSON.parse(word) };
        }
        const number = take(NUMBER) || fail(at >= text.length ? "Something is missing here" : "Expected a value");
        return { kind: "number", at: start, text: number };
    };
    const node = value();
    take(SPACE);
    return at === text.length ? node : fail("Something follows the end");
}

function plain(node) {
    switch (node.kind) {
        case "object":
            return Object.fromEntries(node.members.map((member) => [member.name, plain(member.node)]));
        case "array":
            return node.items.map(plain);
        case "number": {
            const number = Number(node.text);
            return /^-?\d+$/.test(node.text) && !Number.isSafeInteger(number) ? node.text : number;
        }
        default:
            return node.value;
    }
}

/** Reads a text into values. Integers that a double cannot hold become text. */
export const toNumbers = (text) => plain(parse(text));

/** A number, to be written as the text it is. */
export const raw = (text) => ({ [RAW]: text });

function inline(value) {
    if (value?.[RAW] !== undefined) {
        return value[RAW];
    }
    if (Array.isArray(value)) {
        return `[${value.map(inline).join(", ")}]`;
    }
    if (value !== null && typeof value === "object") {
        const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${inline(member)}`);
        return `{${members.join(", ")}}`;
    }
    return JSON.stringify(value);
}

function block(value, indent, isTop) {
    const line = inline(value);
    const isLeaf = value === null || typeof value !== "object" || value[RAW] !== undefined;
    if (isLeaf || line.length <= 2 || (!isTop && indent.length + line.length <= LINE_WIDTH)) {
        return line;
    }
    const inner = `${indent}  `;
    const [open, close] = Array.isArray(value) ? "[]" : "{}";
    const parts = Array.isArray(value)
        ? value.map((element) => inner + block(element, inner, false))
        : Object.entries(value).map(
            ([name, member]) => `${inner}${JSON.stringify(name)}: ${block(member, inner, false)}`);
    return `${open}\n${parts.join(",\n")}\n${indent}${close}`;
}

/** Writes a value on one line. */
export const writeLine = inline;

/** Writes a value for people: what fits is on one line, but the outermost is always taken apart. */
export const write = (value) => block(value, "", true);
