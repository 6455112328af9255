// The page in Chromium, before a server that answers as the test says. Pictures go to target/page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Chromium } from "./chromium.mjs";
import { Fixture, json, refuse, sampleStatus, work } from "./fixture.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const picture = (name) => fileURLToPath(new URL(`../../target/page/${name}.png`, import.meta.url));

let browser;
before(async () => (browser = await Chromium.start()));
after(() => browser?.stop());

// A page before a server that works, with what a test changes in its status.
async function opened(t, change, look) {
  const status = sampleStatus();
  change?.(status);
  const fixture = await Fixture.start(json(() => (work(status), status)));
  t.after(() => fixture.stop());
  const page = await browser.open(look);
  t.after(() => page.close());
  await page.go(fixture.url);
  return { status, fixture, page };
}

const says = (page, text) => page.until(`document.getElementById("headline").textContent.includes(${JSON.stringify(text)})`);
const SERVES = "This server hands out identities.";
const cells = (page, id) => page.run(`[...document.querySelectorAll("#${id} tbody tr")].map((row) => [...row.cells].map((cell) => cell.lastElementChild.textContent))`);
const facts = (page, id) => page.run(`Object.fromEntries([...document.querySelectorAll("#${id} dt")].map((name) => [name.textContent, name.nextElementSibling.firstElementChild.innerText]))`);

// The page is right for people with other eyes, hands and screens.
async function audit(page, name) {
  const { violations, checked } = await page.run(`${AXE}; axe.run(document).then((found) => ({
    checked: found.passes.map((rule) => rule.id),
    violations: found.violations.map((rule) => rule.id + ": " + rule.nodes.map((node) => node.html + " " + node.failureSummary).join("; ")),
  }))`);
  assert.deepEqual(violations, [], name);
  assert.ok(checked.includes("color-contrast"), "contrast was looked at");
}

async function fits(page, width) {
  const [page_width, wide] = await page.run(`[document.documentElement.scrollWidth, [...document.querySelectorAll("body *")].filter((node) => !node.closest("svg") && !node.closest("thead") && node.getBoundingClientRect().right > ${width} + 0.5).map((node) => node.outerHTML.slice(0, 120))]`);
  assert.deepEqual(wide, []);
  assert.ok(page_width <= width, `${page_width} > ${width}`);
}

test("a server that works: values move, and each part says what it should", async (t) => {
  const { fixture, page } = await opened(t, (status) => {
    status.errors = { badCount: 3, joining: 1 };
  });
  await says(page, SERVES);
  await page.until('document.querySelector("#rate-facts dd")?.textContent.startsWith("12,000")');
  const sequence = (await facts(page, "rate-facts")).Sequence;
  await page.until(`!document.getElementById("rate-facts").innerText.includes(${JSON.stringify(sequence)})`);
  await page.until('document.querySelector("#plot .identities").getAttribute("d")?.split("L").length > 3');
  assert.match(await page.text("#runway-text"), /^At this rate until the year 2\d,\d{3}\.$/);
  const rows = await cells(page, "peers");
  assert.equal(rows.length, 3);
  assert.deepEqual(rows[0], ["This server", "1", "serving", "–", "–", "none", "offered"]);
  assert.deepEqual(rows[1], ["10.0.0.2:3264", "2", "up", "52 sequences", "0 s ago", "none", "yes"]);
  assert.deepEqual((await cells(page, "refusals")).map((row) => row[0]), ["badCount", "joining"]);
  assert.equal((await facts(page, "who-facts")).Pid, "1");
  assert.deepEqual((await cells(page, "certificates")).map((row) => row[2]), ["expires in 300 days", "expires in 3,400 days"]);
  assert.equal(await page.run("document.title"), "✓ pid 1 of ipseity – Ipseity");
  assert.ok(await page.run('document.getElementById("troubles").hidden'));
  await audit(page, "serving, light");
  await page.picture(picture("serving-light"));
  await page.look({ width: 1280, height: 900, dark: true });
  await audit(page, "serving, dark");
  await page.picture(picture("serving-dark"));
  assert.deepEqual(page.complaints, []);
  const others = page.requests.filter((url) => !url.startsWith("data:") && url !== fixture.url && url !== `${fixture.url}status`);
  assert.deepEqual(others, [], "nothing else is asked for");
});

test("a plot of ten minutes", async (t) => {
  const { page } = await opened(t);
  await says(page, SERVES);
  // The same functions that the page calls, fed with ten minutes at once.
  await page.run(`{
    const now = performance.now();
    const found = Array.from({ length: 600 }, (_, second) => second > 300 && second < 330 ? null :
      { at: now - (600 - second) * 1000, identities: 9000 + 3000 * Math.sin(second / 40) + second % 7 * 90, requests: 4000 + 600 * Math.sin(second / 25) });
    points = () => found;
  }`);
  await page.until('document.querySelector("#plot").textContent.includes("10 min ago")');
  await page.picture(picture("plot"));
  await page.look({ width: 320, height: 700, dark: true });
  await page.until('document.querySelector("#plot svg").getAttribute("viewBox").split(" ")[2] < 320');
  await page.picture(picture("plot-phone"));
});

test("a server that is gone is said to be lost at once, and found again", async (t) => {
  const { fixture, page } = await opened(t);
  await says(page, SERVES);
  await page.until('/^\\d/.test(document.querySelector("#rate-facts dd")?.textContent)');
  assert.deepEqual(page.complaints, []);
  const works = fixture.answer;
  // Chromium itself asks again on another connection, so the requests are counted where the page makes them.
  await page.run(`{
    const ask = window.fetch;
    window.failed = 0;
    window.fetch = (...all) => ask(...all).catch((error) => {
      window.failed += 1;
      throw error;
    });
    new MutationObserver(() => (window.failedThen ??= window.failed)).observe(document.getElementById("headline"), { childList: true });
  }`);
  fixture.answer = (response) => response.destroy();
  await says(page, "No answer from this server since ");
  assert.equal(await page.run("window.failedThen"), 1, "the first failure says it");
  assert.match(await page.text("#headline"), /since \d\d:\d\d:\d\d\.$/);
  assert.match(await page.text("#cause"), /The numbers below are old/);
  assert.equal(await page.run("document.body.className"), "lost");
  assert.match(await page.run('getComputedStyle(document.getElementById("rate-title"), "::after").content'), /old numbers/);
  assert.match(await page.run("document.title"), /^\? /);
  await audit(page, "lost, light");
  await page.picture(picture("lost-light"));
  await page.look({ width: 1280, height: 900, dark: true });
  await audit(page, "lost, dark");
  await page.picture(picture("lost-dark"));
  fixture.answer = works;
  await says(page, SERVES);
  await page.until('document.querySelector("#plot .identities").getAttribute("d")?.split("M").length > 2');
  // A browser itself notes each request that failed. Nothing else may be there.
  assert.deepEqual(page.complaints.filter((text) => !text.startsWith("network: ")), []);
});

test("a server that takes requests and does not answer is lost too, and is asked one thing at a time", async (t) => {
  const { fixture, page } = await opened(t);
  await says(page, SERVES);
  let open = 0;
  let most = 0;
  fixture.answer = (response) => {
    open += 1;
    most = Math.max(most, open);
    response.on("close", () => (open -= 1));
  };
  await says(page, "No answer from this server since ");
  assert.match(await page.text("#cause"), /^Nothing came within 2 s\./);
  const asked = fixture.asked;
  while (fixture.asked < asked + 2) await page.until("true");
  assert.equal(most, 1);
});

test("a server that never answered has no old numbers", async (t) => {
  const fixture = await Fixture.start(refuse(403, "forbidden: <b>not you</b>\n"));
  t.after(() => fixture.stop());
  const page = await browser.open();
  t.after(() => page.close());
  await page.go(fixture.url);
  await says(page, "This server does not show its status here.");
  assert.equal(await page.text("#said"), "The answer: forbidden: <b>not you</b>");
  assert.ok(await page.run('document.getElementById("numbers").hidden'));
  await page.picture(picture("refused"));
  for (const [code, words] of [[503, "refuses to answer"], [404, "No status at this address"], [500, "No status from this server"]]) {
    fixture.answer = refuse(code, "no\n");
    await says(page, words);
  }
  for (const text of ["not JSON", "7", '{"standing":"serving"}']) {
    fixture.answer = refuse(503, "between\n");
    await says(page, "refuses to answer");
    fixture.answer = refuse(200, text);
    await says(page, "No status from this server");
  }
});

test("a peer that turns down is seen in the table and below the verdict", async (t) => {
  const { status, page } = await opened(t);
  await page.until('document.querySelectorAll("#peers [data-mark=good]").length === 3');
  Object.assign(status.peers[1], { state: "down", last_heard_ms: 4200 });
  await page.until('document.querySelector("#peers [data-mark=warn]")?.textContent === "down"');
  assert.match(await page.text("#troubles"), /^1 of 2 peers is not up: 10\.0\.0\.3:3264\. Check whether it runs/);
  assert.equal(await page.text("#headline"), SERVES);
});

test("a server that was objected to says so, with the way out", async (t) => {
  const { status, page } = await opened(t);
  await says(page, SERVES);
  status.standing = "pid conflict";
  status.objection = { above: "46752", peer: "10.0.0.3:3264", pid: 3, reason: "pid 1 is used by two live servers, 10.0.0.1:3264 and 10.0.0.9:3264 <b>" };
  await says(page, "NOT HANDING OUT IDENTITIES: another live server has the same pid");
  assert.match(await page.text("#remedy"), /^What to do: .*--recover-above/);
  assert.match(await page.text("#peers"), /a peer objects: pid conflict/);
  assert.match(await page.text("#peers tbody tr:nth-child(3)"), /objects to this server/);
  assert.match(await page.text("#cause"), /^10\.0\.0\.3:3264 \(pid 3\) has objected/);
  assert.match(await page.text("#said"), /^The peer says: pid 1 is used .* <b>$/);
  await audit(page, "objected, light");
  await page.picture(picture("objected-light"));
  await page.look({ width: 1280, height: 900, dark: true });
  await audit(page, "objected, dark");
  assert.deepEqual(page.complaints, []);
});

test("the verdict is read out when it changes, and only then", async (t) => {
  const { status, page } = await opened(t, (one) => {
    one.standing = "waiting for the disk";
    one.storage.current_write_us = 1_000_000;
    one.bounds.waiting_for_disk = 7;
  });
  await says(page, "Waiting for the disk.");
  await page.run(`{
    window.changes = 0;
    new MutationObserver((found) => (window.changes += found.length)).observe(document.querySelector("[role=status]"), { subtree: true, childList: true, characterData: true, attributes: true });
  }`);
  status.storage.current_write_us = 4_200_000;
  await page.until('document.getElementById("cause").textContent.includes("4.2 s")');
  await page.picture(picture("disk"));
  assert.equal(await page.run("window.changes"), 0);
  assert.equal(await page.run('document.querySelectorAll("[aria-live], [role=status], [role=alert]").length'), 1);
  status.standing = "serving";
  await says(page, SERVES);
  assert.ok(await page.run("window.changes > 0"));
});

test("a restart draws no spike", async (t) => {
  const { status, page } = await opened(t);
  await page.until('document.querySelector("#rate-facts dd")?.textContent.startsWith("12,000")');
  Object.assign(status, { uptime_ms: 0, session: "0x1", sequence: "99000000" });
  Object.assign(status.counters, { identities: "0", identity_requests: 0 });
  status.vitals.codecs.frames.identity_requests = 0;
  await page.until('document.getElementById("rate-facts").innerText.includes("99,0")');
  await page.until('document.querySelector("#rate-facts dd")?.textContent.startsWith("12,000")');
  assert.match(await page.text("#plot-text"), /highest 12,000, mean 12,000, lowest 12,000\./);
});

test("what comes from the network stays text", async (t) => {
  const evil = (name) => `<img src=x onerror="window.hacked='${name}'"><script>window.hacked=1</script>\u202e"'&amp;`;
  const long = "a".repeat(300);
  const { page } = await opened(t, (status) => {
    Object.assign(status, { cluster: evil("cluster"), version: evil("version"), incarnation: evil("incarnation"), session: evil("session") });
    status.peers[0].address = evil("address");
    status.peers[1] = { ...status.peers[1], address: long, state: evil("state") };
    status.errors = { [evil("code")]: 5, __proto__: null, constructor: 4, toString: 3, [long]: 2 };
    Object.assign(status.tls.certificates[0], { purpose: evil("purpose"), name: evil("name"), expires_in_s: 6 * 86400 });
    status.tls.certificates[1].name = long;
  }, { width: 320, height: 700 });
  await says(page, SERVES);
  await page.until('document.querySelectorAll("#peers tbody tr").length === 3');
  assert.equal(await page.run('document.querySelectorAll("main img, main script").length'), 0);
  assert.equal(await page.run("window.hacked"), undefined);
  const shown = evil("address").replace("\u202e", "\ufffd");
  assert.equal((await cells(page, "peers"))[1][0], shown);
  assert.ok((await page.text("#troubles")).includes("<img src=x onerror"));
  assert.ok(!(await page.run("document.body.textContent.includes('\u202e')")));
  await fits(page, 320);
  await page.picture(picture("hostile-phone"));
  await page.look({ width: 1280, height: 900 });
  await fits(page, 1280);
  await page.picture(picture("hostile"));
  assert.deepEqual(page.complaints, []);
});

test("a phone: nothing scrolls sideways, and each cell says what it is", async (t) => {
  const { status, fixture, page } = await opened(t, (one) => {
    one.errors = { advanceTooLarge: 12345678, notAPeer: 2 };
    one.sequence = "9007199254740000";
    one.counters.identities = "9007199254740000";
    one.bounds.cut_off = 3;
  }, { width: 320, height: 700 });
  await says(page, SERVES);
  await page.until('/^\\d/.test(document.querySelector("#rate-facts dd")?.textContent)');
  await fits(page, 320);
  assert.match(await page.text("#peers tbody tr:nth-child(2)"), /Behind by\s+52 sequences/);
  await audit(page, "phone, light");
  await page.picture(picture("phone-light"));
  await page.look({ width: 320, height: 700, dark: true });
  await audit(page, "phone, dark");
  await page.picture(picture("phone-dark"));
  status.standing = "stale state";
  await says(page, "NOT HANDING OUT");
  await fits(page, 320);
  fixture.answer = refuse(503, "x".repeat(5000));
  await says(page, "refuses to answer");
  await fits(page, 320);
});

test("many peers: the list scrolls in its box, and the cut is said", async (t) => {
  const { page } = await opened(t, (status) => {
    const [peer] = status.peers;
    status.peers = Array.from({ length: 800 }, (_, index) => ({ ...peer, pid: index, address: `10.0.${index >> 8}.${index & 255}:3264`, state: index % 100 ? "up" : "down" }));
    status.peers_total = 1000;
  });
  await page.until('document.querySelectorAll("#peers tbody tr").length === 801');
  assert.match(await page.text("#peers-text"), /^The list is cut: 800 of 1,000 peers are shown\./);
  assert.deepEqual((await cells(page, "peers")).slice(1, 10).map((row) => row[2]), [...Array(8).fill("down"), "up"]);
  assert.match(await page.text("#troubles"), /^8 of 1,000 peers are not up: 10\.0\.0\.0:3264, 10\.0\.0\.100:3264, 10\.0\.0\.200:3264 and 5 more\./);
  assert.ok(await page.run('document.getElementById("peers-box").clientHeight < 600'));
  await page.picture(picture("many"));
});

test("the keyboard reaches a list that scrolls, sees where it is, and gets out again", async (t) => {
  const { status, page } = await opened(t, (one) => {
    one.peers = Array.from({ length: 40 }, () => one.peers[0]);
    one.peers_total = 40;
  });
  await says(page, SERVES);
  const focus = 'document.activeElement === document.body ? "" : document.activeElement.getAttribute("aria-labelledby") ?? document.activeElement.tagName';
  const reached = [];
  for (let count = 0; count < 2; count += 1) {
    await page.press("Tab");
    reached.push(await page.run(focus));
    if (reached[count]) assert.equal(await page.run('getComputedStyle(document.activeElement).outlineWidth'), "3px");
  }
  assert.deepEqual(reached, ["cluster-title", ""]);
  await page.press("Tab", { shift: true });
  assert.equal(await page.run(focus), "cluster-title");
  const scrolled = 'document.getElementById("peers-box").scrollTop';
  await page.press("PageDown");
  await page.until(`${scrolled} > 0`);
  // The focus stays where it is while the numbers change.
  const now = await page.text("#rate-facts");
  await page.until(`document.getElementById("rate-facts").innerText !== ${JSON.stringify(now)}`);
  assert.equal(await page.run(focus), "cluster-title");
  assert.ok((await page.run(scrolled)) > 0);
  // Where nothing scrolls, nothing stops the keyboard.
  status.peers.length = status.peers_total = 2;
  await page.until('document.querySelectorAll("#peers tbody tr").length === 3');
  await page.run("document.activeElement.blur()");
  await page.press("Tab");
  assert.equal(await page.run(focus), "");
});

test("a page that nobody sees asks seldom, and at once when it is seen again", async (t) => {
  const { fixture, page } = await opened(t);
  await says(page, SERVES);
  await page.run(`{
    window.away = true;
    Object.defineProperty(document, "hidden", { get: () => window.away });
    window.delays = [];
    const set = window.setTimeout;
    window.setTimeout = (call, ms) => (window.delays.push(ms), set(call, ms));
  }`);
  await page.until("window.delays.includes(15000)");
  const asked = fixture.asked;
  await page.run('window.away = false; document.dispatchEvent(new Event("visibilitychange"))');
  while (fixture.asked === asked) await page.until("true");
  await page.until("window.delays.at(-1) < 15000");
});

test("with less motion the plot moves seldom", async (t) => {
  const { page } = await opened(t, null, { calm: true });
  await says(page, SERVES);
  await page.until('/^\\d/.test(document.querySelector("#rate-facts dd")?.textContent)');
  await page.run(`{
    window.drawn = 0;
    new MutationObserver(() => (window.drawn += 1)).observe(document.querySelector("#plot .identities"), { attributes: true });
    window.shown = 0;
    new MutationObserver(() => (window.shown += 1)).observe(document.getElementById("fresh"), { childList: true });
  }`);
  await page.until("window.shown >= 5");
  assert.ok((await page.run("window.drawn")) <= 2);
});
