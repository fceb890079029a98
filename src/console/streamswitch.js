// Turns the stream of a table on and off, and says what each choice means before it is made.

import { call } from "./api.js";
import { openForm, openDialog } from "./dialog.js";
import { badge, button, commandLine, copyable, el, facts, link, tell } from "./dom.js";
import { moment } from "./format.js";

/** What records show, by view type: in a word, in half a sentence, and which images. */
export const VIEW_TYPES = {
    NEW_AND_OLD_IMAGES: {
        title: "New and old image",
        text: "the item before and after each change, so that differences show; the usual choice",
        images: ["OldImage", "NewImage"],
    },
    NEW_IMAGE: { title: "New image", text: "the item as it is after each change", images: ["NewImage"] },
    OLD_IMAGE: { title: "Old image", text: "the item as it was before each change", images: ["OldImage"] },
    KEYS_ONLY: { title: "Keys only", text: "which item changed, but nothing of what is in it", images: [] },
};
const SETTLED_MILLIS_MAX = 30_000;
const EXAMPLES = { S: '"a"', N: "7", B: '"3q0="' };

/** What a record would show of a change of `price` from 1 to 2, with the table's own key. */
function example(type, table) {
    const keys = table.KeySchema.map(({ AttributeName: name }) => {
        const { AttributeType } = table.AttributeDefinitions.find(({ AttributeName }) => AttributeName === name);
        return `"${name}": ${EXAMPLES[AttributeType]}`;
    }).join(", ");
    const images = { OldImage: `{${keys}, "price": 1}`, NewImage: `{${keys}, "price": 2}` };
    const lines = [`Keys      {${keys}}`, ...VIEW_TYPES[type].images.map((name) => `${name}  ${images[name]}`)];
    return el("pre.example", lines.join("\n"));
}

function viewChoice(type, table, isChosen) {
    const { title, text } = VIEW_TYPES[type];
    return el("label.choice",
        el("input", { type: "radio", name: "view", value: type, checked: isChosen }),
        el("div", el("strong", title), el("span.muted.mono", ` ${type}`), el("p", `Shows ${text}.`), example(type, table)));
}

/** Waits until a change of the table is made. */
async function settled(name) {
    const deadline = Date.now() + SETTLED_MILLIS_MAX;
    for (;;) {
        const { Table: table } = await call("DescribeTable", { TableName: name });
        if (table.TableStatus === "ACTIVE" || Date.now() > deadline) {
            return table;
        }
        await new Promise((done) => { setTimeout(done, 300); });
    }
}

/** A table that is still being made, or changed by another, is waited for. */
async function change(name, specification) {
    await settled(name);
    await call("UpdateTable", { TableName: name, StreamSpecification: specification });
    return settled(name);
}

/** Opens what fits the state of the stream. `onDone` is called after a change. */
export async function manageStream(name, onDone) {
    const { Table: table } = await call("DescribeTable", { TableName: name });
    if (table.StreamSpecification?.StreamEnabled) {
        showOn(table, onDone);
    } else {
        turnOn(table, onDone);
    }
}

function turnOn(table, onDone) {
    const name = table.TableName;
    const again = table.LatestStreamArn && el("p",
        "This makes a new stream. The one before stays readable until its retention ends.");
    const { dialog, form } = openForm(`Turn on the stream of ${name}`, [
        el("p", "From then on every change of an item becomes a record, in order per item. Programs read them, triggers "
            + "deliver them, and you can watch them here. What should a record show when, for example, ",
        el("span.mono", "price"), " changes from 1 to 2?"),
        again,
        el("fieldset.choices", el("legend.hidden", "What records show"),
            Object.keys(VIEW_TYPES).map((type, i) => viewChoice(type, table, i === 0))),
    ], {
        submit: "Turn on stream",
        wide: true,
        run: async () => {
            const type = form.querySelector("input:checked").value;
            const changed = await change(name, { StreamEnabled: true, StreamViewType: type });
            onDone();
            dialog.close();
            tell(`The stream of ${name} is on`, "ok");
            showOn(changed, onDone);
        },
    });
}

function showOn(table, onDone) {
    const { TableName: name, LatestStreamArn: arn, LatestStreamLabel: label } = table;
    const { title, text } = VIEW_TYPES[table.StreamSpecification.StreamViewType];
    const leave = () => dialog.close();
    const off = button("Turn off…", () => { leave(); turnOff(table, onDone); }, "danger");
    const dialog = openDialog(`The stream of ${name}`, el("div.body",
        facts(
            ["State", badge("on", "ok")],
            ["Records show", el("span", { title: table.StreamSpecification.StreamViewType }, `${title}: ${text}`)],
            ["Since", moment(Date.parse(`${label}Z`))]),
        el("p", "Its name for programs (ARN):"), copyable(arn),
        el("p", "Follow it from a terminal:"), commandLine(`stream tail ${name}`),
        el("p", "Have a function called for its records:"),
        commandLine(`trigger create ${name} http://localhost:8080/hook`),
        el("p.muted", "What records show cannot be changed while a stream is on: turn it off, then on again. "
            + "That makes a new stream with a new ARN."),
        el("footer", off, el("span.grow"), button("Close", leave),
            link(`#/streams/${encodeURIComponent(arn)}`, "Watch it live", { class: "button primary", onclick: leave }))),
    { wide: true });
}

function turnOff(table, onDone) {
    const name = table.TableName;
    openForm(`Turn off the stream of ${name}`, [
        el("ul",
            el("li", "Changes from then on are not recorded. The table itself goes on as it is."),
            el("li", "What is recorded stays readable until its retention ends, then the stream is gone."),
            el("li", "Readers and triggers get what is recorded, then nothing more."),
            el("li", "Turning it on again makes a new stream with a new ARN; changes in between are in neither.")),
    ], {
        submit: "Turn off stream",
        kind: "danger",
        run: async () => {
            await change(name, { StreamEnabled: false });
            tell(`The stream of ${name} is off`);
            onDone();
        },
    });
}

/** The state of a table's stream, with the button that changes it. */
export function streamPanel(table, onDone) {
    const name = table.TableName;
    const type = table.StreamSpecification?.StreamViewType;
    const isOn = Boolean(table.StreamSpecification?.StreamEnabled);
    const earlier = table.LatestStreamArn;
    return el("section.stream-panel", { class: isOn ? "on" : "", "data-key": `stream-${isOn}` },
        el("div.grow", el("strong", isOn ? "Stream is on" : "Stream is off"), el("span.muted", isOn
            ? ` Every change is recorded: ${VIEW_TYPES[type].text.split(";")[0]}.`
            : " Changes are not recorded. Turn it on to watch them, and to have functions called for them.")),
        earlier && link(`#/streams/${encodeURIComponent(earlier)}`, isOn ? "Watch live" : "Earlier records",
            { class: "button" }),
        button(isOn ? "Manage stream" : "Turn on stream", () => manageStream(name, onDone), isOn ? "" : "primary"));
}
