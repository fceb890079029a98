// Calls operations of the node: signed, with a deadline, and with errors that say what kind they are. A node that does
// not answer, and one that wants a key, are noted in the shared state, so that the whole console can say so.

import { change, isIdle, state } from "./state.js";

const DEADLINE_MILLIS = 10_000;
const BACKOFF_MILLIS_MAX = 15_000;
const STREAM_OPERATIONS = new Set(["ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"]);
const TABLE_OPERATIONS = new Set([
    "ListTables", "DescribeTable", "CreateTable", "UpdateTable", "DeleteTable",
    "PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan",
]);
const SIGN_IN_ERRORS = new Set([
    "UnrecognizedClientException", "InvalidSignatureException", "MissingAuthenticationTokenException",
    "IncompleteSignatureException", "AccessDeniedException",
]);

function targetOf(operation) {
    if (STREAM_OPERATIONS.has(operation)) {
        return `DynamoDBStreams_20120810.${operation}`;
    }
    return TABLE_OPERATIONS.has(operation) ? `DynamoDB_20120810.${operation}` : `Watertable_V1.${operation}`;
}

function failure(name, message, status = 0) {
    return Object.assign(new Error(message), { name, status });
}

/** The headers of a request: signed with the key, or, without one, with what only looks like a signature. */
async function headersOf(target, body) {
    const { key, clockOffsetMillis } = state;
    const millis = Date.now() + clockOffsetMillis;
    if (key) {
        const { signedHeaders } = await import("./sign.js");
        return signedHeaders({ host: location.host, target, body, keyId: key.id, secret: key.secret, millis });
    }
    const moment = new Date(millis).toISOString().replace(/[-:]|\.\d+/g, "");
    const credential = `console/${moment.slice(0, 8)}/us-east-1/dynamodb/aws4_request`;
    return {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-date": moment,
        "x-amz-target": target,
        authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host;x-amz-date, Signature=${"0".repeat(64)}`,
    };
}

/** Sends one request and reads its answer whole, both within the deadline. */
async function exchange(operation, body, signal) {
    const controller = new AbortController();
    const stop = () => controller.abort();
    const timer = setTimeout(stop, DEADLINE_MILLIS);
    signal?.addEventListener("abort", stop);
    try {
        const headers = await headersOf(targetOf(operation), body);
        signal?.throwIfAborted();
        const response = await fetch("/", { method: "POST", headers, body, signal: controller.signal });
        return { response, text: await response.text() };
    } catch (error) {
        if (signal?.aborted) {
            throw failure("Aborted", "No longer needed");
        }
        const late = controller.signal.aborted;
        throw failure("NoAnswer", late ? "No answer within 10 seconds" : `No connection (${error.message})`);
    } finally {
        clearTimeout(timer);
        signal?.removeEventListener("abort", stop);
    }
}

function errorOf(response, text) {
    try {
        const { __type: type = "", message, Message } = JSON.parse(text);
        const name = type.slice(type.indexOf("#") + 1);
        return failure(name, message ?? Message ?? name, response.status);
    } catch {
        return failure("UnexpectedAnswer", `Unexpected answer: HTTP status ${response.status}`, response.status);
    }
}

/** Reads an answer. Integers that a double cannot hold become text; such answers are rare, so others take the fast way. */
async function valueOf(text) {
    return /[:,[]\s*-?\d{16}/.test(text) ? (await import("./json.js")).toNumbers(text) : JSON.parse(text);
}

/** The clock's error, if a signature was refused for its time and the answer tells the right one. */
function clockCorrection(error, response) {
    const served = Date.parse(response.headers.get("date") ?? "");
    const isTime = /^Signature (expired|not yet current)/.test(error.message);
    const offset = served - Date.now();
    return isTime && Math.abs(offset - state.clockOffsetMillis) > 60_000 ? offset : null;
}

/**
 * Calls an operation. Throws an error whose `name` is the wire's (`ResourceNotFoundException`), `NoAnswer` when the
 * node could not be reached, or `Aborted`.
 */
export async function call(operation, input = {}, signal = undefined) {
    const body = JSON.stringify(input);
    let answer;
    try {
        answer = await exchange(operation, body, signal);
    } catch (error) {
        if (error.name === "NoAnswer") {
            change({ lost: { since: state.lost?.since ?? Date.now(), message: error.message } });
        }
        throw error;
    }
    if (state.lost) {
        change({ lost: null });
    }
    if (answer.response.ok) {
        return valueOf(answer.text);
    }
    const error = errorOf(answer.response, answer.text);
    const offset = clockCorrection(error, answer.response);
    if (offset !== null) {
        change({ clockOffsetMillis: offset });
        return call(operation, input, signal);
    }
    if (SIGN_IN_ERRORS.has(error.name)) {
        change({ signIn: error.message });
    }
    throw error;
}

/** Gathers all pages of a listing. `read` takes an answer apart: its elements, and where the next page starts. */
async function callPages(operation, input, start, read, signal) {
    const found = [];
    let position;
    do {
        const [elements, next] = read(await call(operation, { ...input, [start]: position }, signal));
        found.push(...elements);
        position = elements.length > 0 ? next : undefined;
    } while (position !== undefined);
    return found;
}

/** The names of all tables. */
export function listTables(signal) {
    const read = (answer) => [answer.TableNames, answer.LastEvaluatedTableName];
    return callPages("ListTables", {}, "ExclusiveStartTableName", read, signal);
}

/** All streams, of one table or of all, also those that are off and still readable. */
export function listStreams(signal, tableName = undefined) {
    const read = (answer) => [answer.Streams, answer.LastEvaluatedStreamArn];
    return callPages("ListStreams", { TableName: tableName }, "ExclusiveStartStreamArn", read, signal);
}

/** A stream with all its shards. */
export async function describeStream(arn, signal) {
    let stream;
    const read = (answer) => {
        stream = answer.StreamDescription;
        return [stream.Shards, stream.LastEvaluatedShardId];
    };
    const Shards = await callPages("DescribeStream", { StreamArn: arn }, "ExclusiveStartShardId", read, signal);
    return { ...stream, Shards };
}

/** Does the same for each element, a few at a time; the results keep the order. */
export async function forEach(elements, run, atOnce = 4) {
    const results = new Array(elements.length);
    const rest = elements.entries();
    const work = async () => {
        for (const [i, element] of rest) {
            results[i] = await run(element);
        }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return results;
}

/**
 * Runs something again and again until the signal, less often while it fails and not at all while nobody looks.
 * `onError` hears of failures. Returns a function that makes the next run happen at once.
 */
export function poll(signal, everyMillis, run, onError = () => {}) {
    let failures = 0;
    let timer = 0;
    let isRunning = false;
    const turn = async () => {
        clearTimeout(timer);
        if (signal.aborted || isRunning || isIdle()) {
            return;
        }
        isRunning = true;
        try {
            await run();
            failures = 0;
        } catch (error) {
            failures += 1;
            if (!signal.aborted) {
                onError(error);
            }
        }
        isRunning = false;
        if (!signal.aborted) {
            timer = setTimeout(turn, Math.min(everyMillis * 2 ** failures, Math.max(everyMillis, BACKOFF_MILLIS_MAX)));
        }
    };
    signal.addEventListener("abort", () => clearTimeout(timer));
    document.addEventListener("visibilitychange", turn, { signal });
    turn();
    return turn;
}
