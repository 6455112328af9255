// The words and numbers of the page, without a browser: the script of the page in Node.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

import { inside, readPage, sampleStatus, work } from "./fixture.mjs";

vm.runInThisContext(inside(readPage(), "script"), { filename: "index.html" });
const get = (name) => vm.runInThisContext(name);
const page = Object.fromEntries(
  ["CODES", "STANDINGS", "SEQUENCE_MAX", "HISTORY_MS", "PEER_HEADS", "ANSWER_WITHIN_MS"].map((name) => [name, get(name)]),
);
const { verdict, troubles, lost, runway, rate, remember, sampleOf, points, grown, plain, whole, isStatus } = globalThis;

const docs = (name) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
const NOW = new Date(Date.UTC(2026, 6, 2));

function statusWith(change) {
  const status = sampleStatus();
  change?.(status);
  return status;
}

// The samples of some seconds of a server. `step` changes the status before each.
function watch(seconds, step, samples = [], status = sampleStatus(), from = 0) {
  for (let second = 1; second <= seconds; second += 1) {
    step(status, second);
    const at = (from + second) * 1000;
    samples = remember(samples, sampleOf(structuredClone(status), at), at);
  }
  return samples;
}

test("each code has the words of docs/protocol.md", () => {
  const rows = [...docs("protocol.md").matchAll(/^\| \d+ \| `(\w+)` \| (?:closes|goes on) \| (.*?) \| (.*?) \|$/gm)];
  const words = rows.map(([, code, ...texts]) => [code, texts.map((text) => text.replaceAll("`", ""))]);
  assert.ok(words.length >= 26);
  assert.deepEqual([...page.CODES], words);
});

test("each standing of docs/operations.md has a verdict, and only serving is good", () => {
  const table = docs("operations.md").split("| standing | what it means")[1].split("\n\n")[0];
  const words = [...table.matchAll(/^\| `([a-z ]+)` \|/gm)].map((row) => row[1]);
  assert.equal(words.length, 8);
  for (const standing of [...words, "stopping"]) {
    const said = verdict(statusWith((status) => (status.standing = standing)));
    assert.equal(said.level === "good", standing === "serving", standing);
    assert.ok(page.STANDINGS.has(standing), standing);
    if (standing !== "serving") assert.ok(said.headline && said.cause && said.remedy, standing);
  }
});

test("every standing of the program is known", () => {
  const source = readFileSync(new URL("../../crates/core/src/words/status.rs", import.meta.url), "utf8");
  const names = [...source.matchAll(/Standing::\w+ => "([a-z ]+)"/g)].map((name) => name[1]);
  assert.equal(names.length, 8);
  for (const name of names) assert.ok(page.STANDINGS.has(name), name);
});

test("a standing that is not known is shown as it is, and is not good", () => {
  const said = verdict(statusWith((status) => (status.standing = "dancing")));
  assert.equal(said.level, "bad");
  assert.match(said.headline, /“dancing”/);
});

test("waiting for the disk says how long and how many", () => {
  const said = verdict(statusWith((status) => {
    status.standing = "waiting for the disk";
    status.storage.current_write_us = 4_200_000;
    status.bounds.waiting_for_disk = 1;
  }));
  assert.match(said.cause, /has taken 4\.2 s so far, and 1 request waits for it/);
  assert.doesNotMatch(said.headline, /\d/, "a headline that changes each second would be read out each second");
});

test("a server with its pid in etcd waits for etcd, and nobody is sent to a disk", () => {
  const said = verdict(statusWith((status) => {
    status.standing = "waiting for the disk";
    status.store = { kind: "etcd", state: "in doubt" };
    status.bounds.waiting_for_disk = 7;
  }));
  assert.equal(said.headline, "Waiting for etcd.");
  assert.match(said.cause, /7 requests wait\./);
  assert.doesNotMatch(`${said.cause} ${said.remedy}`, /disk|data-dir/);
});

test("a rate is that of the clock of the server", () => {
  const samples = watch(20, (status) => work(status, { ms: 500, requests: 100, block: 10 }));
  const now = rate(samples, 5000);
  assert.equal(now.requests, 200);
  assert.equal(now.identities, 2000);
  assert.equal(now.sequences, 2000);
  assert.equal(rate(samples.slice(-1), 5000), null);
  assert.equal(rate([], 5000), null);
});

test("a rate is exact beyond 2^53", () => {
  const before = statusWith((status) => (status.counters.identities = "9007199254740993"));
  const after = statusWith((status) => {
    status.uptime_ms += 1000;
    status.counters.identities = "9007199254740996";
  });
  assert.equal(rate([sampleOf(before, 0), sampleOf(after, 1000)], 5000).identities, 3);
});

test("a restart makes a gap and no spike", () => {
  const run = watch(10, (status) => work(status));
  const anew = statusWith((status) => {
    status.uptime_ms = 0;
    status.session = "0x1";
    status.counters.identities = "0";
    status.counters.identity_requests = 0;
    status.vitals.codecs.frames.identity_requests = 0;
  });
  const samples = watch(5, (status) => work(status, { requests: 3000 }), run, anew, 10);
  const found = points(samples);
  assert.equal(found.filter((point) => point === null).length, 1);
  assert.deepEqual([...new Set(found.filter(Boolean).map((point) => point.identities))], [12000, 3000]);
  assert.equal(rate(samples, 60000).identities, 3000, "only the new life counts");
  // The session may be hidden; the uptime tells it too.
  for (const sample of samples) sample.session = null;
  assert.equal(points(samples).filter((point) => point === null).length, 1);
});

test("a time without an answer is a gap, and ten minutes are kept", () => {
  let samples = watch(3, (status) => work(status));
  for (let second = 4; second < 9; second += 1) samples = remember(samples, null, second * 1000);
  assert.equal(samples.length, 4, "a long gap is one");
  samples = watch(2, (status) => work(status), samples, sampleStatus(), 9);
  assert.deepEqual(points(samples).map(Boolean), [true, true, false, true]);
  samples = watch(700, (status) => work(status), samples, sampleStatus(), 20);
  assert.equal(samples.length, page.HISTORY_MS / 1000 + 1);
  assert.deepEqual(remember([], null, 0), [], "nothing begins with a gap");
});

test("what a counter has grown is right across a restart", () => {
  const counts = [5, 7, 0, 2];
  const samples = counts.map((count, index) => sampleOf(statusWith((status) => {
    status.errors = { badCount: count };
    status.session = index < 2 ? "0x1" : "0x2";
  }), index));
  assert.equal(grown(samples, (sample) => sample.errors.badCount ?? 0), 4);
});

test("the runway is a year, a day or a time", () => {
  const text = (sequence, perSecond) => runway(sequence, perSecond, NOW).text;
  assert.equal(text(0n, 1_000_000), "At this rate until the year 2311.");
  assert.equal(text(0n, 1000), "At this rate until the year 287,453.");
  assert.equal(text(0n, 0.001), "At this rate until the year 285,426,783,888.");
  assert.equal(text(page.SEQUENCE_MAX - 1_000_000n, 1), "At this rate until 13 July 2026.");
  assert.equal(text(page.SEQUENCE_MAX - 7200n, 1), "At this rate for 2 h 0 min more.");
  assert.equal(text(page.SEQUENCE_MAX, 1), "The sequence is used up, for good.");
  assert.equal(text(page.SEQUENCE_MAX + 5n, 1), "The sequence is used up, for good.");
  assert.equal(text(5n, 0), "Nothing is being used up now.");
  assert.equal(text(5n, null), "In a moment: the rate is not known yet.");
  assert.match(runway(1n, 1, NOW).left, /^9,007,199,254,740,990 of 9,007,199,254,740,991 .*\(99\.9999 %\)/);
});

test("troubles name what is wrong and the way out", () => {
  const found = (change, samples = []) => troubles(statusWith(change), samples);
  assert.deepEqual(found(), []);
  const [down] = found((status) => (status.peers[1].state = "down"));
  assert.match(down.text, /^1 of 2 peers is not up: 10\.0\.0\.3:3264\.$/);
  const starting = found((status) => {
    status.uptime_ms = 100;
    status.peers[1].state = "connecting";
  });
  assert.deepEqual(starting, [], "a peer has a moment to connect");
  assert.match(found((status) => (status.peers[0].state = "refused"))[0].text, /refuses the other/);
  const [expires] = found((status) => (status.tls.certificates[0].expires_in_s = 6.5 * 86400));
  assert.match(expires.text, /\(one\.example\) expires in 6 days\.$/);
  assert.equal(expires.level, "warn");
  assert.match(found((status) => (status.tls.certificates[0].expires_in_s = 0))[0].text, /has expired/);
  assert.match(found((status) => (status.sequence = "7000000000000000"))[0].text, /^77 % of the sequence/);
  assert.match(found((status) => (status.vitals.codecs.frames.connections.take = 9000))[0].text, /^9,006 of 10,000 places/);
  assert.deepEqual(found((status) => (status.connections = 9900)), [], "those by HTTP have places of their own");
  assert.match(found((status) => (status.storage.current_write_us = 1_500_000))[0].text, /taken 1\.5 s so far/);
  for (const [name, word] of [["cut_off", "cut off"], ["log_lines_dropped", "log line"], ["refused_for_address", "address"], ["closed_idle", "idle"]]) {
    const change = (status) => (status.bounds[name] = 3);
    const [old] = found(change);
    assert.ok(old.text.includes(word), old.text);
    assert.equal(old.level, "note");
    const samples = watch(2, (status, second) => (status.bounds[name] = second));
    assert.match(found(change, samples)[0].text, /, 1 of them lately\.$/);
  }
});

test("a lost server says since when, and what to look at", () => {
  const seen = new Date(2026, 0, 1, 12, 3, 4);
  const gone = lost({ kind: "unreachable" }, seen);
  assert.equal(gone.headline, "No answer from this server since 12:03:04.");
  assert.match(gone.cause, /The numbers below are old/);
  assert.equal(lost({ kind: "late" }, null).headline, "No answer from this server.");
  for (const status of [401, 403, 404, 418, 500, 502, 503]) {
    const said = lost({ kind: "refused", status, said: "because\u202e" }, seen);
    assert.match(said.cause, new RegExp(`${status}`));
    assert.equal(said.said, "The answer: because\ufffd");
    assert.equal(said.level, "lost");
  }
});

test("only a status is taken for one", () => {
  assert.ok(isStatus(sampleStatus()));
  for (const value of [null, 7, "status", [], {}, { standing: "serving" }, statusWith((status) => (status.sequence = 5)), statusWith((status) => delete status.tls)]) {
    assert.ok(!isStatus(value), JSON.stringify(value));
  }
});

test("numbers and texts from the network are bounded", () => {
  assert.equal(whole("18446744073709551615"), 18446744073709551615n);
  for (const value of ["-1", "1e9", "0x10", "", "9".repeat(30), -1, 1.5, null, undefined, {}]) assert.equal(whole(value), 0n);
  assert.equal(plain("a\nb\u202ec\u0000"), "a\ufffdb\ufffdc\ufffd");
  assert.equal(plain("x".repeat(1000)).length, 301);
  assert.equal(plain(null), "");
});

test("units are for people", () => {
  const { span, micros, bytes, pace } = globalThis;
  assert.deepEqual([0, 59999, 61000, 3 * 3600000, 25 * 3600000].map(span), ["0 s", "59 s", "1 min 1 s", "3 h 0 min", "1 day 1 h"]);
  assert.deepEqual([850, 10712, 2_500_000].map(micros), ["850 µs", "10.7 ms", "2.5 s"]);
  assert.deepEqual([1, 2048, 3 * 1024 * 1024].map(bytes), ["1 byte", "2 KiB", "3 MiB"]);
  assert.deepEqual([0, 0.26, 9.96, 12345.6].map(pace), ["0", "0.3", "10", "12,346"]);
});

test("the table of the cluster says who is cut from it, who refuses, and who was never heard", () => {
  const status = statusWith((one) => {
    one.peers_total = 900;
    one.peers[0].state = "refused";
    one.peers[1] = { ...one.peers[1], pid: null, state: "down", last_heard_ms: null, refusals: 2 };
  });
  assert.match(globalThis.peersText(status), /^The list is cut: 2 of 900 peers are shown\. As/);
  const rows = globalThis.peerRows(status);
  assert.ok(rows.every((row) => row.length === page.PEER_HEADS.length));
  assert.deepEqual(rows[1][5], ["refused; the log says why", "bad"]);
  assert.deepEqual(rows[2].slice(1, 6), ["not known yet", ["down", "warn"], "not known yet", "never", "none now; refused 2 times so far"]);
  assert.equal(verdict(status).cause, "It has 900 peers: at least 0 are up.");
  status.standing = "stale state";
  assert.deepEqual(globalThis.peerRows(status)[0][5], ["a peer objects: stale state", "bad"]);
});

test("an objection says who, why, and what to go on above", () => {
  const reason = `the state of pid 1 is not the newest ${"x".repeat(400)}\u202e`;
  const status = statusWith((one) => {
    one.standing = "stale state";
    one.objection = { above: "46700", peer: "10.0.0.3:3264", pid: 3, reason };
  });
  let said = verdict(status);
  assert.match(said.cause, /^10\.0\.0\.3:3264 \(pid 3\) has objected to this server\./);
  assert.equal(said.said, `The peer says: ${reason.slice(0, -1)}\ufffd`);
  assert.match(said.remedy, /SEQUENCE has to be at least 46700, /);
  const objections = globalThis.peerRows(status).map((row) => row[5]);
  assert.deepEqual(objections, [["a peer objects: stale state", "bad"], "none", ["objects to this server", "bad"]]);
  status.objection.pid = null;
  assert.match(verdict(status).cause, /^10\.0\.0\.3:3264 has objected/);
  assert.deepEqual(globalThis.peerRows(status)[2][5], ["objects to this server", "bad"]);
  // Only the last run has heard the peer.
  status.objection = { above: "0", peer: null, pid: null, reason: "an earlier run of this server was objected to" };
  said = verdict(status);
  assert.match(said.cause, /^An earlier run was objected to, .*: ipseity-cli members, asked of the other servers, shows which/);
  assert.ok(!said.remedy.includes("at least") && !said.said);
  status.objection = null;
  assert.match(verdict(status).cause, /^A peer has objected/);
});

test("a server that joins says how many peers have accepted it", () => {
  const cause = (join) => verdict(statusWith((status) => Object.assign(status, { standing: "joining", join }))).cause;
  assert.match(cause({ accepted: 1, confirmed: 0, needed: 2 }), /^1 of the 2 peers that must accept it has done so\. It has just/);
  assert.match(cause({ accepted: 2, confirmed: 1, needed: 2 }), /^2 of the 2 peers that must accept it have done so, and 1 of them has confirmed that\./);
  assert.match(cause({ accepted: 0, confirmed: 0, needed: 0 }), /^So far 0 peers have accepted it\./);
  assert.match(cause(null), /^It has just started/);
});

test("connections by HTTP are counted apart from the places of the others", () => {
  const connections = (change) => globalThis.rateFacts(statusWith(change), [])[3];
  assert.deepEqual(connections(() => {}), ["Connections", "7", "of at most 10,000; 7 more by HTTP"]);
  assert.deepEqual(connections((status) => (status.connections = 7)), ["Connections", "7", "of at most 10,000"]);
  assert.deepEqual(connections((status) => delete status.vitals), ["Connections", "14", "of at most 10,000"]);
});

test("durability says what is ahead, and an ephemeral server says what it is", () => {
  const facts = globalThis.diskFacts(sampleStatus());
  assert.deepEqual(facts[0], ["Ceiling", "163,332", "116,580 sequences ahead, enough for 9 s of recent demand"]);
  const idle = globalThis.diskFacts(statusWith((status) => (status.vitals.demand_per_second = "0")));
  assert.equal(idle[0][2], "116,580 sequences ahead");
  assert.match(globalThis.diskFacts(statusWith((status) => (status.storage.durable = false)))[0][1], /--ephemeral/);
});

test("refusals have their way out, and those of now come first", () => {
  const samples = watch(2, (status, second) => (status.errors = { badCount: 500, joining: second, strange: 3 }));
  const rows = globalThis.refusalRows(statusWith((status) => (status.errors = { badCount: 500, joining: 2, strange: 3, storage: 0 })), samples);
  assert.deepEqual(rows.map((row) => row[0]), ["joining", "badCount", "strange"]);
  assert.deepEqual(rows[0][2], ["+1", "warn"]);
  assert.match(rows[1][3], /over --max-count\. Ask for 1 to --max-count, several times if necessary\.$/);
  assert.match(rows[2][3], /does not know the code/);
});

test("what is hidden from a stranger is said to be hidden", () => {
  const facts = globalThis.whoFacts(statusWith((status) => (status.boot = status.session = status.incarnation = null)), NOW);
  assert.equal(facts.filter((fact) => fact[1] === "shown only to peers and operators").length, 3);
});

test("the plot has its axis and its gaps", () => {
  const { roundUp, plotPaths, plotSpan } = globalThis;
  assert.deepEqual([0, 1, 3, 12000, 50001].map(roundUp), [1, 1, 5, 20000, 100000]);
  const found = [{ at: 0, identities: 10, requests: 5 }, { at: 1000, identities: 0, requests: 0 }, null, { at: 3000, identities: 5, requests: 5 }];
  const paths = plotPaths(found, 4000, 4000, 10, 400, 100);
  assert.equal(paths.identities, "M0.0,0.0L100.0,100.0M300.0,50.0");
  assert.equal(paths.area.split("Z").length, 3);
  assert.deepEqual(plotPaths([], 0, 60000, 10, 400, 100), { identities: "", requests: "", area: "" });
  assert.equal(plotSpan(found, 30000), 60000);
  assert.equal(plotSpan(found, 61000), 120000);
  assert.equal(plotSpan(found, 900000), page.HISTORY_MS);
});
