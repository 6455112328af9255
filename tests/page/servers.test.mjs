// The page in Chromium before three real servers: values move, a killed peer turns, a server that was objected to says so,
// and one that has ended is lost and found again.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { Chromium } from "./chromium.mjs";

const target = (path) => fileURLToPath(new URL(`../../target/${path}`, import.meta.url));
const PROGRAM = join(process.env.IPSEITY_PROGRAMS ?? target("debug"), "ipseity");
const folder = mkdtempSync(join(tmpdir(), "ipseity-servers-"));
const running = new Set();

// Ports that nobody uses now. All are held at once, so that they differ.
async function freePorts(count) {
  const holders = await Promise.all(Array.from({ length: count }, () => new Promise((done) => {
    const holder = createServer().listen(0, "127.0.0.1", () => done(holder));
  })));
  const ports = holders.map((holder) => holder.address().port);
  await Promise.all(holders.map((holder) => new Promise((done) => holder.close(done))));
  return ports;
}

const ports = await freePorts(6);
const address = (pid) => `127.0.0.1:${ports[pid - 1]}`;
const url = (pid) => `http://127.0.0.1:${ports[pid + 2]}/`;

// Starts a server that names the two others, and waits until it tells how it does.
async function start(pid, directory, ...flags) {
  const peers = [1, 2, 3].filter((other) => other !== pid).flatMap((other) => ["--peer", address(other)]);
  const own = ["--pid", `${pid}`, "--listen", address(pid), "--http", new URL(url(pid)).host, "--data-dir", join(folder, directory)];
  const server = spawn(PROGRAM, [...own, ...peers, "--sync-interval", "200ms", ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  running.add(server);
  server.log = "";
  server.stderr.on("data", (text) => (server.log += text));
  server.ended = new Promise((done) => {
    server.once("error", (error) => done((server.log += `${PROGRAM}: ${error.message}`)));
    server.once("exit", done);
  }).finally(() => running.delete(server));
  for (const end = Date.now() + 20000; ; await sleep(50)) {
    if (await fetch(`${url(pid)}status`).then((answer) => answer.ok, () => false)) return server;
    assert.ok(running.has(server) && Date.now() < end, `server ${pid} does not answer. Its log:\n${server.log}`);
  }
}

async function end(server, signal) {
  server.kill(signal);
  await server.ended;
}

async function take(pid, count) {
  const answer = await fetch(`${url(pid)}identities?count=${count}`, { method: "POST", headers: { "Content-Type": "application/json" } });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()).identities.length;
}

const says = (page, text) => page.until(`document.getElementById("headline").textContent.includes(${JSON.stringify(text)})`);
const picture = (name) => target(`page/servers-${name}.png`);

let browser;
before(async () => (browser = await Chromium.start()));
after(async () => {
  await browser?.stop();
  await Promise.all([...running].map((server) => end(server, "SIGKILL")));
  rmSync(folder, { recursive: true, force: true });
});

test("three real servers, one of which loses its directory", async (t) => {
  const [first, , third] = await Promise.all([1, 2, 3].map((pid) => start(pid, `${pid}`)));
  const page = await browser.open();
  await page.go(url(1));
  await says(page, "This server hands out identities.");
  await page.until('document.querySelectorAll("#peers [data-mark=good]").length === 3');

  // Values move.
  assert.equal(await take(3, 100), 100);
  const asking = setInterval(() => take(1, 10).catch(() => {}), 100);
  t.after(() => clearInterval(asking));
  await page.until('Number(document.querySelector("#rate-facts dd span")?.textContent.replaceAll(",", "")) > 0');
  await page.until('document.querySelector("#plot .identities").getAttribute("d")?.split("L").length > 4');
  const sequence = await page.text("#rate-facts");
  await page.until(`document.getElementById("rate-facts").innerText !== ${JSON.stringify(sequence)}`);
  await page.until('document.getElementById("runway-text").textContent.startsWith("At this rate until")');
  assert.deepEqual(page.complaints, [], "the policy of the real server lets the page work");
  await page.picture(picture("serving"));

  // A killed peer turns.
  await end(third, "SIGKILL");
  await page.until('document.querySelectorAll("#peers [data-mark=good]").length === 2');
  await page.until(`document.getElementById("troubles").textContent.includes(${JSON.stringify(address(3))})`);
  await page.picture(picture("peer-down"));

  // It comes back with an empty directory and does not ask first, so a peer objects.
  await start(3, "empty", "--join-timeout", "0");
  const objected = await browser.open();
  await objected.go(url(3));
  await says(objected, "NOT HANDING OUT IDENTITIES");
  assert.match(await objected.text("#peers"), /a peer objects: (stale state|pid conflict)/);
  assert.match(await objected.text("#remedy"), /A restart changes nothing/);
  assert.match(await objected.text("#cause"), /^127\.0\.0\.1:\d+ (\(pid \d\) )?has objected to this server\./);
  assert.match(await objected.text("#said"), /^The peer says: .*--recover-above/);
  assert.deepEqual(objected.complaints, []);
  await objected.picture(picture("objected"));

  // A server that has ended is lost, and found again.
  clearInterval(asking);
  await end(first, "SIGTERM");
  await says(page, "No answer from this server since ");
  await page.picture(picture("lost"));
  await start(1, "1");
  await says(page, "This server hands out identities.");
});
