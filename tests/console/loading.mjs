// Measures how long the console's first page takes, from three nodes, into a browser that has seen none of its files:
// `tests/console/run --loading target/release/watertable`. An empty page of the same nodes is there to compare with.

import { startBrowser, startCluster } from "./harness.mjs";

const TIMES = 20;
const NODES = 3;
/** A tab is open before an address is given to it; a browser that still makes the tab is not measured. */
const SETTLED_MILLIS = 1000;

const settled = () => new Promise((done) => { setTimeout(done, SETTLED_MILLIS); });

/** Runs in the page: notes when it first shows what the cluster said. */
function noteShown() {
    new MutationObserver((_, observer) => {
        if (document.body?.textContent.includes("Healthy")) {
            globalThis.shownMillis = performance.now();
            observer.disconnect();
        }
    }).observe(document, { childList: true, subtree: true });
}

/** Runs in the page: what the browser measured, in milliseconds since the address was given. */
function timings() {
    const [page] = performance.getEntriesByType("navigation");
    const files = performance.getEntriesByType("resource")
        .filter(({ name, startTime }) => name.includes("/console/") && startTime < page.loadEventStart);
    return {
        "first paint": performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
        "loaded": page.loadEventEnd,
        "status shown": globalThis.shownMillis ?? NaN,
        "files until loaded": files.length + 1,
        "bytes until loaded": files.reduce((sum, { transferSize }) => sum + transferSize, page.transferSize),
    };
}

async function measure(browser, url, isShown) {
    const found = [];
    for (let i = 0; i < TIMES; i += 1) {
        const page = await browser.open("about:blank");
        await page.addInitScript(noteShown);
        await settled();
        await page.goto(url(i));
        await isShown(page);
        found.push(await page.evaluate(timings));
        await page.context().close();
    }
    return found;
}

function print(title, found) {
    process.stdout.write(`\n${title.padEnd(22)}${["least", "median", "9 in 10", "most"].map((head) => head.padStart(9)).join("")}\n`);
    for (const name of Object.keys(found[0])) {
        const values = found.map((timing) => timing[name]).sort((a, b) => a - b);
        const at = [0, TIMES / 2, TIMES * 0.9 - 1, TIMES - 1].map((i) => values[i]);
        if (values.every(Number.isFinite)) {
            process.stdout.write(`${name.padEnd(22)}${at.map((value) => value.toFixed(0).padStart(9)).join("")}\n`);
        }
    }
}

const cluster = await startCluster(NODES);
const browser = await startBrowser();
try {
    const origin = (i) => cluster.origins[i % NODES];
    const empty = await measure(browser, (i) => `${origin(i)}/console/none`, () => {});
    const first = await measure(browser, (i) => `${origin(i)}/console/`, (page) => page.getByText("Healthy").waitFor());
    print("an empty page, ms", empty);
    print("the first page, ms", first);
} finally {
    await browser.stop();
    cluster.stop();
}
