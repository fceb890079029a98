// A line over time as SVG: the last ten minutes of one number, with the value under the pointer.

import { el, svg } from "./dom.js";
import { clockText } from "./format.js";
import { SPAN_MILLIS } from "./state.js";

const WIDTH = 600;
const HEIGHT = 96;
const GAP_MILLIS = 15_000;

/** The next of 1, 2, 5, 10, 20, ...: scales people read easily. */
function niceCeiling(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/** Runs of points without gaps: what was not measured is not drawn. */
function runs(points) {
    const found = [];
    let previous = null;
    for (const point of points) {
        if (point.value === null) {
            previous = null;
            continue;
        }
        if (previous === null || point.at - previous.at > GAP_MILLIS) {
            found.push([]);
        }
        found.at(-1).push(point);
        previous = point;
    }
    return found;
}

/**
 * Makes a plot. `format` writes a value. `draw` takes points `{at, value}`, oldest first, value null if unknown, and a
 * note to be shown below.
 */
export function createPlot(title, unit, format) {
    const current = el("strong.plot-value", "–");
    const when = el("span.muted");
    const top = el("span.plot-top");
    const note = el("span");
    const area = svg("path.plot-area");
    const line = svg("path.plot-line");
    const mark = svg("line.plot-mark", { y1: 0, y2: HEIGHT, x1: -1, x2: -1 });
    const grid = [0, 0.5, 1].map((part) =>
        svg("line.plot-grid", { x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part }));
    const picture = svg("svg", {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
        onpointermove: (event) => point(event), onpointerleave: () => rest(),
    }, grid, area, line, mark);
    const element = el("figure.plot",
        el("figcaption", el("span.plot-title", title), when, el("span.grow"), current, el("span.muted", ` ${unit}`)),
        el("div.plot-frame", top, picture),
        el("div.plot-foot", el("span", "10 min ago"), note, el("span", "now")));
    let shown = [];
    let end = 0;

    const x = (at) => WIDTH * (1 - (end - at) / SPAN_MILLIS);

    function rest() {
        const last = shown.at(-1);
        current.textContent = format(last?.value ?? null);
        when.textContent = "";
        mark.setAttribute("x1", -1);
        mark.setAttribute("x2", -1);
    }

    function point(event) {
        const box = picture.getBoundingClientRect();
        const at = end - SPAN_MILLIS * (1 - (event.clientX - box.left) / box.width);
        const nearest = shown.reduce(
            (best, candidate) => (Math.abs(candidate.at - at) < Math.abs(best.at - at) ? candidate : best), shown[0]);
        if (nearest) {
            current.textContent = format(nearest.value);
            when.textContent = clockText(nearest.at);
            mark.setAttribute("x1", x(nearest.at));
            mark.setAttribute("x2", x(nearest.at));
        }
    }

    function draw(points, now, text) {
        shown = points;
        end = now;
        const values = points.map(({ value }) => value ?? 0);
        const highest = Math.max(0, ...values);
        const scale = niceCeiling(Math.max(highest, 1));
        const y = (value) => HEIGHT * (1 - value / scale);
        const place = ({ at, value }) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
        const parts = runs(points);
        line.setAttribute("d", parts.map((run) => `M${run.map(place).join("L")}${run.length < 2 ? "h1" : ""}`).join(""));
        area.setAttribute("d", parts.map((run) => `M${x(run[0].at).toFixed(1)} ${HEIGHT}L${run.map(place).join("L")}`
            + `L${x(run.at(-1).at).toFixed(1)} ${HEIGHT}Z`).join(""));
        top.textContent = format(scale);
        note.textContent = text;
        const summary = `now ${format(points.at(-1)?.value ?? null)}, highest ${format(highest)}`;
        picture.setAttribute("aria-label", `${title}: ${summary} in the last ten minutes`);
        if (!picture.matches(":hover")) {
            rest();
        }
    }
    return { element, draw };
}
