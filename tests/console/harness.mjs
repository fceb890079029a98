// A browser, a cluster and a way to write items beside the browser.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before } from "node:test";
import { chromium } from "playwright-core";

import { signedHeaders } from "../../src/console/sign.js";

const PROGRAM = process.env.WATERTABLE ?? "target/debug/watertable";
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SCREENSHOTS = process.env.SCREENSHOTS ?? "target/console";
const PATIENCE_MILLIS = 20_000;

const freePort = () => new Promise((done) => {
    const socket = createSocket().listen(0, "127.0.0.1", () => {
        const { port } = socket.address();
        socket.close(() => done(port));
    });
});

/** Waits until something is so. */
export async function until(what, look) {
    const deadline = Date.now() + PATIENCE_MILLIS;
    for (;;) {
        const found = await look();
        if (found) {
            return found;
        }
        if (Date.now() > deadline) {
            throw new Error(`${what}: not within ${PATIENCE_MILLIS} ms`);
        }
        await new Promise((done) => { setTimeout(done, 100); });
    }
}

/** Calls an operation, as any client would. */
export async function call(origin, operation, input) {
    const service = { PutItem: "DynamoDB_20120810", UpdateItem: "DynamoDB_20120810", DeleteItem: "DynamoDB_20120810",
        CreateTable: "DynamoDB_20120810", DescribeTable: "DynamoDB_20120810" }[operation] ?? "Watertable_V1";
    const body = JSON.stringify(input);
    const headers = signedHeaders({
        host: new URL(origin).host, target: `${service}.${operation}`, body, keyId: "test", secret: "test",
        millis: Date.now(),
    });
    const response = await fetch(origin, { method: "POST", headers, body });
    const answer = await response.json();
    if (!response.ok) {
        throw new Error(`${operation}: ${JSON.stringify(answer)}`);
    }
    return answer;
}

/** Runs a command of the program. */
export const startProgram = (flags, output = "ignore") => spawn(PROGRAM, flags, { stdio: ["ignore", output, "ignore"] });

/** The lines that a program has written so far; they become more. */
export function linesOf(program) {
    const lines = [];
    createInterface({ input: program.stdout }).on("line", (line) => lines.push(line));
    return lines;
}

/** Starts so many nodes; ends them, and removes what they stored, with `stop`. */
export async function startCluster(count) {
    const root = mkdtempSync(join(tmpdir(), "watertable-console-"));
    const ports = await Promise.all(Array.from({ length: count }, freePort));
    const start = (i) => {
        const listen = `127.0.0.1:${ports[i]}`;
        const flags = i === 0 ? [] : ["--join", `127.0.0.1:${ports[0]}`];
        const bootstrap = i === 0 && count > 1 ? ["--bootstrap"] : [];
        return startProgram(["serve", "--listen", listen, "--data", join(root, `${i}`), ...flags, ...bootstrap]);
    };
    const nodes = ports.map((_, i) => start(i));
    const origins = ports.map((port) => `http://127.0.0.1:${port}`);
    await until("the nodes being there", async () => {
        const status = await call(origins[0], "GetClusterStatus", {}).catch(() => null);
        return status?.Nodes.length === count && status.Nodes.every(({ Alive }) => Alive);
    });
    return {
        origins,
        kill: (i) => nodes[i].kill("SIGKILL"),
        restart: (i) => { nodes[i] = start(i); },
        stop() {
            nodes.forEach((node) => node.kill("SIGKILL"));
            rmSync(root, { recursive: true, force: true, maxRetries: 5 });
        },
    };
}

/** A function that remembers what it was called with, and answers what it is told to. */
export async function startFunction() {
    const calls = [];
    const state = { status: 200 };
    const server = createServer((request, response) => {
        let body = "";
        request.on("data", (part) => { body += part; });
        request.on("end", () => {
            calls.push(JSON.parse(body));
            response.writeHead(state.status).end("{}");
        });
    });
    await new Promise((done) => { server.listen(0, "127.0.0.1", done); });
    return { url: `http://127.0.0.1:${server.address().port}/hook`, calls, state, stop: () => server.close() };
}

/** A browser whose pages may not complain: what they write into the console as errors is kept in `faults`. */
export async function startBrowser() {
    mkdirSync(SCREENSHOTS, { recursive: true });
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
    const faults = [];
    const open = async (url, options = {}) => {
        const context = await browser.newContext({ viewport: { width: 1200, height: 820 }, ...options });
        const page = await context.newPage();
        page.setDefaultTimeout(PATIENCE_MILLIS);
        page.on("pageerror", (error) => faults.push(String(error)));
        page.on("console", (message) => {
            if (message.type() === "error" && !/Failed to load resource/.test(message.text())) {
                faults.push(message.text());
            }
        });
        await page.goto(url);
        return page;
    };
    const picture = (page, name) => page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
    const pictureAll = async (name) => {
        const pages = browser.contexts().flatMap((context) => context.pages());
        await Promise.all(pages.map((page, i) => picture(page, `${name} ${i}`)));
    };
    return { open, picture, pictureAll, faults, stop: () => browser.close() };
}

/** A cluster and a browser for the tests of a file; of a test that fails, what its pages show is kept. */
export function useStage(count) {
    const stage = {};
    before(async () => {
        stage.cluster = await startCluster(count);
        stage.browser = await startBrowser();
    });
    afterEach(async ({ passed, name }) => {
        if (passed === false) {
            await stage.browser?.pictureAll(`failed: ${name}`);
        }
    });
    after(async () => {
        await stage.browser?.stop();
        stage.cluster?.stop();
    });
    return stage;
}
