// Numbers, sizes and times as people read them.

/** Formats of times, made when they are first needed: the first takes a browser as long as reading the whole page. */
const formats = new Map();

function timeFormat(options) {
    const name = JSON.stringify(options);
    if (!formats.has(name)) {
        formats.set(name, new Intl.DateTimeFormat(undefined, options));
    }
    return formats.get(name);
}

const CLOCK = { timeStyle: "medium" };
const DATE_AND_CLOCK = { dateStyle: "medium", timeStyle: "medium" };
const BYTE_UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
const TIME_UNITS = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1000, "s"]];

const grouped = (number) => String(number).replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
const rounded = (number) => grouped(Number(number.toPrecision(3)));

export const count = (number) => (typeof number === "number" ? grouped(number) : number ?? "–");

/** A number with its noun: `1 table`, `2 tables`. */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

export const rate = (perSecond) => (perSecond == null ? "–" : rounded(perSecond < 0.05 ? 0 : perSecond));

export function bytes(number) {
    if (typeof number !== "number") {
        return "–";
    }
    let power = 0;
    while (number >= 1024 ** (power + 1) && power < BYTE_UNITS.length - 1) {
        power += 1;
    }
    return `${rounded(number / 1024 ** power)} ${BYTE_UNITS[power]}`;
}

/** A length of time by its largest unit, and the next one while the largest is small. */
export function duration(millis) {
    if (typeof millis !== "number") {
        return "–";
    }
    const size = Math.abs(millis);
    const i = TIME_UNITS.findIndex(([unit]) => size >= unit);
    if (i < 0) {
        return `${Math.round(millis)} ms`;
    }
    const [unit, name] = TIME_UNITS[i];
    const whole = Math.floor(size / unit);
    const [smaller, smallerName] = TIME_UNITS[i + 1] ?? [0, ""];
    const rest = smaller && whole < 10 ? Math.floor((size % unit) / smaller) : 0;
    const sign = millis < 0 ? "−" : "";
    return `${sign}${whole} ${name}${rest > 0 ? ` ${rest} ${smallerName}` : ""}`;
}

function isToday(date) {
    return date.toDateString() === new Date().toDateString();
}

export const clockText = (millis) => timeFormat(CLOCK).format(millis);

/** A moment in local time; the exact one in the title. `null` for none. */
export function moment(millis) {
    if (millis == null || !Number.isFinite(millis)) {
        return document.createTextNode("–");
    }
    const date = new Date(millis);
    const time = document.createElement("time");
    time.dateTime = date.toISOString();
    time.title = date.toISOString();
    time.textContent = timeFormat(isToday(date) ? CLOCK : DATE_AND_CLOCK).format(date);
    return time;
}

/** The name a shard is known by among those of its stream: its id without what is the same in all. */
export const shardName = (id) => id.replace(/^shardId-0*/, "").replace(/^(\d+)-/, (_, made) => `${made.slice(-7)}-`);
