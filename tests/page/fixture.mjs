// A server that stands in for Ipseity: it serves the page with the headers that crates/http gives it, and answers
// /status as the test says.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const PAGE = new URL("../../crates/http/page/index.html", import.meta.url);

export function readPage() {
  return readFileSync(PAGE, "utf8");
}

// The text within the only such element of the page.
export function inside(page, tag) {
  const texts = page.split(`<${tag}>`).slice(1).map((text) => text.split(`</${tag}>`)[0]);
  if (texts.length !== 1) throw new Error(`the page has ${texts.length} elements <${tag}>, not one`);
  return texts[0];
}

function policy(page) {
  const [script, style] = ["script", "style"].map((tag) => createHash("sha256").update(inside(page, tag)).digest("base64"));
  return `default-src 'none'; script-src 'sha256-${script}'; style-src 'sha256-${style}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
}

// A status as a server of a cluster of three gives it.
export function sampleStatus() {
  return {
    version: "0.2.0", cluster: "ipseity", pid: 1, incarnation: "0x0fe0c279382881273076863b68de7c2d", boot: 3, session: "0x972d148242709b18",
    standing: "serving", join: null, objection: null, sequence: "46752", remaining: "9007199254694239", uptime_ms: 393929, connections: 14, connections_max: 10000,
    counters: { accepted: 28, identity_requests: 46752, identities: "46752", waited: 4, sync_requests: 8, sync_replies: 12, absorbed: 0 },
    errors: {},
    storage: { durable: true, ceiling: "163332", skipped: "0", writes: 7, longest_write_us: 10712, current_write_us: 0 },
    peers_total: 2,
    peers: [
      { address: "10.0.0.2:3264", pid: 2, state: "up", tls: true, sequence: "46700", lag: "52", last_heard_ms: 928, refusals: 0 },
      { address: "10.0.0.3:3264", pid: 3, state: "up", tls: true, sequence: "46000", lag: "752", last_heard_ms: 450, refusals: 0 },
    ],
    bounds: { waiting_for_disk: 0, log_lines_dropped: 0, pending_bytes: 2048, cut_off: 0, refused_for_address: 0, closed_idle: 0, advance_max: "1099511627776" },
    tls: {
      offered: true, connections: 12, handshakes: 40, handshakes_failed: 1, handshakes_under_way: 0, longest_wait_us: 830,
      certificates: [
        { purpose: "the certificate of this server", name: "one.example", expires_in_s: 300 * 86400 + 5 },
        { purpose: "a CA of clients", name: "Example CA", expires_in_s: 3400 * 86400 + 5 },
      ],
    },
    vitals: {
      turns: 90000, mailbox: 0, mailbox_max: 9, events: {}, demand_per_second: "12000", writes_failed: 0,
      codecs: { frames: { identity_requests: 46752, identity_requests_refused: 0, identities: "46752", connections: { none: 0, take: 1, look: 3, sync: 2, operate: 1 } } },
    },
  };
}

// Lets a second of work go by in a status.
export function work(status, { ms = 1000, requests = 12000, block = 1 } = {}) {
  const identities = requests * block;
  status.uptime_ms += ms;
  status.sequence = String(BigInt(status.sequence) + BigInt(identities));
  status.counters.identity_requests += requests;
  status.counters.identities = String(BigInt(status.counters.identities) + BigInt(identities));
  status.vitals.codecs.frames.identity_requests += requests;
  if (BigInt(status.storage.ceiling) < BigInt(status.sequence) + 36000n) {
    status.storage.ceiling = String(BigInt(status.sequence) + 100000n);
    status.storage.writes += 1;
  }
}

export class Fixture {
  // `answer` is called for each request of /status, and may be replaced. It gets the response and the fixture.
  static async start(answer) {
    const fixture = new Fixture();
    Object.assign(fixture, { answer, asked: 0, hanging: new Set() });
    const page = readPage();
    const headers = {
      "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy(page), "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
      "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
    };
    fixture.server = createServer((request, response) => {
      if (request.url === "/") {
        response.writeHead(200, headers).end(page);
      } else if (request.url === "/status") {
        fixture.asked += 1;
        fixture.answer(response);
      } else {
        response.writeHead(404, { "Content-Type": "text/plain" }).end("there is nothing here\n");
      }
    });
    await new Promise((done) => fixture.server.listen(0, "127.0.0.1", done));
    fixture.url = `http://127.0.0.1:${fixture.server.address().port}/`;
    return fixture;
  }

  async stop() {
    this.server.closeAllConnections?.();
    await new Promise((done) => this.server.close(done));
  }
}

export function json(status) {
  return (response) => response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" }).end(JSON.stringify(status()));
}

export function refuse(code, text) {
  return (response) => response.writeHead(code, { "Content-Type": "text/plain" }).end(text);
}
