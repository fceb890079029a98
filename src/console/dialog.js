// Dialogs and forms: native `<dialog>` elements, so that Escape closes them, focus stays inside and returns after.

import { el, problem } from "./dom.js";

/** Opens a dialog with a title. `mayClose` may refuse Escape. Returns the element; it is removed once closed. */
export function openDialog(title, body, { wide = false, mayClose = () => true } = {}) {
    const heading = el("h2", { id: `dialog-${document.querySelectorAll("dialog").length}` }, title);
    const close = el("button.quiet.close", {
        type: "button", "aria-label": "Close", onclick: () => mayClose() && dialog.close(),
    }, "×");
    const dialog = el("dialog", { class: wide ? "wide" : "", "aria-labelledby": heading.id },
        el("header", heading, close), body);
    dialog.addEventListener("cancel", (event) => {
        if (!mayClose()) {
            event.preventDefault();
        }
    });
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
}

/**
 * Opens a dialog with a form. `run` does the work while the form waits; what it throws is shown and the form stays.
 * It closes when `run` is done, unless that returns false.
 */
export function openForm(title, fields, { submit, kind = "primary", run, extra = [], ...options }) {
    const message = el("div", { role: "alert" });
    const action = el("button", { type: "submit", class: kind }, submit);
    const cancel = el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
    const onSubmit = async (event) => {
        event.preventDefault();
        action.disabled = true;
        message.replaceChildren();
        try {
            if (await run() !== false) {
                dialog.close();
            }
        } catch (error) {
            message.replaceChildren(problem(error));
        }
        action.disabled = false;
    };
    const form = el("form", { onsubmit: onSubmit }, fields, message,
        el("footer", extra, el("span.grow"), cancel, action));
    const dialog = openDialog(title, form, options);
    return { dialog, form, action, message };
}

/** A confirmation that takes typing the name of what will be gone. */
export function confirmByName(title, name, text, submit, run) {
    const typed = el("input", { id: "confirmed-name", autocomplete: "off", spellcheck: "false" });
    const { action } = openForm(title, [
        el("p", text),
        field(el("span", "Type ", el("strong.mono", name), " to confirm"), typed),
    ], { submit, kind: "danger", run });
    action.disabled = true;
    typed.addEventListener("input", () => { action.disabled = typed.value !== name; });
}

/** A confirmation. */
export const confirm = (title, text, submit, run, kind = "danger") =>
    openForm(title, el("p", text), { submit, kind, run });

/** An input with its label and a hint. The input needs an id. */
export function field(label, input, hint = null) {
    const hintId = `${input.id}-hint`;
    if (hint) {
        input.setAttribute("aria-describedby", hintId);
    }
    return el("div.field", el("label", { for: input.id }, label), input, hint && el("p.hint", { id: hintId }, hint));
}

export const input = (id, properties = {}) => el("input", {
    id, autocomplete: "off", spellcheck: "false", ...properties,
});

/** A choice from a list of `[value, text]`. */
export function select(id, choices, chosen = undefined, properties = {}) {
    return el("select", { id, ...properties },
        choices.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

export function checkbox(id, label, checked = false, hint = null) {
    const box = el("input", { type: "checkbox", id, checked });
    return {
        box,
        element: el("div.check", box, el("label", { for: id }, label, hint && el("span.hint", " ", hint))),
    };
}

/** One of a few, all visible: `[value, text]`. `onChange` hears of the choice. */
export function segmented(name, legend, choices, chosen, onChange) {
    const inputs = choices.map(([value, text]) => el("label",
        el("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onChange(value) }),
        el("span", text)));
    return el("fieldset.segmented", el("legend.hidden", legend), inputs);
}
