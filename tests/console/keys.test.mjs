// Who may use the console of a cluster with access keys: whoever signs in with one.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { linesOf, startProgram, useStage } from "./harness.mjs";

const stage = useStage(1);

async function createKey() {
    const program = startProgram(["key", "create", "--endpoint", stage.cluster.origins[0], "--output", "json"], "pipe");
    const lines = linesOf(program);
    const [[status]] = await Promise.all([once(program, "close"), once(program.stdout, "close")]);
    assert.equal(status, 0);
    return JSON.parse(lines.join("\n"));
}

async function signIn(page, id, secret) {
    await page.getByRole("button", { name: "Sign in" }).click();
    const dialog = page.getByRole("dialog", { name: "Sign in" });
    await dialog.getByLabel("Access key id").fill(id);
    await dialog.getByLabel("Secret").fill(secret);
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.waitFor({ state: "detached" });
}

test("a cluster with keys shows nothing to whoever has none, and everything to whoever has one", async () => {
    const page = await stage.browser.open(`${stage.cluster.origins[0]}/console/`);
    await page.getByText("Healthy").waitFor();
    const { accessKeyId, secretAccessKey } = await createKey();
    await page.reload();
    await page.getByText("The node wants a key").waitFor();
    assert.equal(await page.getByText("Healthy").count(), 0);
    await signIn(page, accessKeyId, "not the secret");
    await page.getByText("The node wants a key").waitFor();
    assert.equal(await page.getByText("Healthy").count(), 0);
    await stage.browser.picture(page, "signed-out");
    await signIn(page, accessKeyId, secretAccessKey);
    await page.getByText("Healthy").waitFor();
    assert.equal(await page.getByText("The node wants a key").count(), 0);
    await stage.browser.picture(page, "signed-in");
    await page.getByRole("button", { name: `Sign out ${accessKeyId}` }).click();
    await page.getByText("The node wants a key").waitFor();
    await page.getByText("Healthy").waitFor({ state: "detached" });
    assert.deepEqual(stage.browser.faults, []);
});
