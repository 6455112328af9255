// Drives Chromium over its debugging pipe: JSON messages that end with a zero byte. It needs nothing but Node.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const FLAGS = [
  "--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars",
  "--lang=en",
  // Tests run as root in containers, where Chromium has no sandbox. They load only pages of this machine.
  "--no-sandbox",
];
const ANSWER_WITHIN_MS = 30000;

export class Chromium {
  static async start() {
    const browser = new Chromium();
    browser.profile = mkdtempSync(join(tmpdir(), "ipseity-page-"));
    const flags = [...FLAGS, `--user-data-dir=${browser.profile}`, "about:blank"];
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"];
    browser.process = spawn(process.env.CHROMIUM ?? "chromium", flags, { stdio, detached: true });
    browser.ended = new Promise((done) => {
      browser.process.once("exit", done);
      browser.process.once("error", done);
    });
    browser.waiting = new Map();
    browser.pages = new Map();
    browser.number = 0;
    browser.ended.then((why) => browser.fail(new Error(`Chromium ended: ${why}`)));
    let rest = Buffer.alloc(0);
    browser.process.stdio[4].on("data", (data) => {
      rest = Buffer.concat([rest, data]);
      for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
        browser.take(JSON.parse(rest.subarray(0, end).toString()));
        rest = rest.subarray(end + 1);
      }
    });
    // Chromium has closed the pipe: `ended` says it.
    browser.process.stdio[3].on("error", () => {});
    await browser.call("Browser.getVersion");
    return browser;
  }

  fail(error) {
    for (const { fail } of this.waiting.values()) fail(error);
    this.waiting.clear();
  }

  take(message) {
    if (message.id === undefined) {
      this.pages.get(message.sessionId)?.take(message);
      return;
    }
    const { done, fail } = this.waiting.get(message.id) ?? {};
    this.waiting.delete(message.id);
    if (message.error) fail?.(new Error(message.error.message));
    else done?.(message.result);
  }

  call(method, params = {}, sessionId = undefined) {
    const id = ++this.number;
    const limit = setTimeout(() => {
      this.waiting.get(id)?.fail(new Error(`${method}: no answer within ${ANSWER_WITHIN_MS} ms`));
      this.waiting.delete(id);
    }, ANSWER_WITHIN_MS);
    const answer = new Promise((done, fail) => this.waiting.set(id, { done, fail }));
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return answer.finally(() => clearTimeout(limit));
  }

  // A new page, in a window of its own.
  async open({ width = 1280, height = 900, dark = false, calm = false } = {}) {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank", newWindow: true });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, targetId, sessionId);
    this.pages.set(sessionId, page);
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await page.call(`${domain}.enable`);
    await page.call("Emulation.setFocusEmulationEnabled", { enabled: true });
    await page.look({ width, height, dark, calm });
    return page;
  }

  async stop() {
    await this.call("Browser.close").catch(() => {});
    const isOver = await Promise.race([this.ended.then(() => true), sleep(5000, false, { ref: false })]);
    if (!isOver) process.kill(-this.process.pid, "SIGKILL");
    await this.ended;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 10 });
  }
}

class Page {
  constructor(browser, targetId, sessionId) {
    Object.assign(this, { browser, targetId, sessionId, complaints: [], requests: [] });
  }

  call(method, params) {
    return this.browser.call(method, params, this.sessionId);
  }

  // Notes what the page asks for, and whatever a person would find as an error in the console.
  take({ method, params }) {
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled") this.complaints.push(`console.${params.type}`);
    if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
    if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) {
      this.complaints.push(`${params.entry.source}: ${params.entry.text}`);
    }
  }

  async look({ width, height, dark, calm }) {
    await this.call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    await this.call("Emulation.setEmulatedMedia", {
      features: [
        { name: "prefers-color-scheme", value: dark ? "dark" : "light" },
        { name: "prefers-reduced-motion", value: calm ? "reduce" : "no-preference" },
      ],
    });
  }

  async go(url) {
    const { errorText } = await this.call("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await this.until(`location.href === ${JSON.stringify(url)} && document.readyState === "complete"`);
  }

  async run(expression) {
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression.slice(0, 200)}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  // Waits until the expression is true in the page.
  async until(expression, within = 20000) {
    const end = Date.now() + within;
    while (!(await this.run(`Boolean(${expression})`))) {
      if (Date.now() > end) throw new Error(`not within ${within} ms: ${expression}\nThe page says:\n${await this.text()}`);
      await sleep(50);
    }
  }

  // What can be read, of the whole page or of one element.
  text(selector = "body") {
    return this.run(`document.querySelector(${JSON.stringify(selector)}).innerText`);
  }

  async press(key, { shift = false } = {}) {
    const params = { key, code: key, windowsVirtualKeyCode: { Tab: 9, PageDown: 34 }[key], modifiers: shift ? 8 : 0 };
    await this.call("Input.dispatchKeyEvent", { type: "rawKeyDown", ...params });
    await this.call("Input.dispatchKeyEvent", { type: "keyUp", ...params });
  }

  // A picture of the whole page.
  async picture(file) {
    const { data } = await this.call("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, Buffer.from(data, "base64"));
  }

  async close() {
    await this.browser.call("Target.closeTarget", { targetId: this.targetId });
    this.browser.pages.delete(this.sessionId);
  }
}
