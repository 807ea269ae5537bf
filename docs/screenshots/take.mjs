// Books a ticket by "Try it out" on the docs page of a running service, and takes all screenshots.
//
// node take.mjs BASE_URL NEWMAN_REPORT.json OUTPUT_FOLDER
//
// Fails when the page does not say 201, or when it asks another host for anything.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";

const [baseUrl, report, folder] = process.argv.slice(2);

// The requests of the story that are shown: name in the collection, which of its runs, picture.
const REQUESTS = [
  ["Book a ticket", "first", "book"],
  ["Book until sold out", "last", "sold-out"],
  ["Change the timing", "first", "update"],
  ["List tickets by timing", "first", "viewontime"],
  ["View the ticket", "first", "viewuser"],
  ["Delete the ticket", "first", "delete"],
  ["Every field invalid", "first", "bad-input"],
  ["Buy a ticket for two", "first", "multiplex-purchase"],
];

const STYLE = `<style>
  body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff }
  main { padding: 24px }
  h1 { margin: 0 0 12px; font-size: 22px }
  h2 { margin: 20px 0 6px; font-size: 15px }
  table { border-collapse: collapse }
  th, td { padding: 4px 24px 4px 0; text-align: start; border-bottom: 1px solid #ddd }
  td + td, th + th { text-align: end }
  pre { margin: 0; padding: 12px; background: #f4f4f4; border-radius: 6px; white-space: pre-wrap }
  ul { margin: 0; padding: 0; list-style: none }
  .passed { color: #0a6b2d }
  .failed { color: #b00020 }
</style>`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  await takeDocs();
  await takeReport();
} finally {
  await browser.close();
}

function picture(name) {
  return path.join(folder, `${name}.png`);
}

async function takeDocs() {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(120_000);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(`${baseUrl}/docs`);
  const operation = page.locator(".opblock", { hasText: "/booktickets" });
  await operation.waitFor();
  await page.screenshot({ path: picture("docs") });

  await operation.locator(".opblock-summary-control").click();
  await operation.getByRole("button", { name: "Execute" }).click();
  const answer = operation.locator(".live-responses-table .response-col_status").last();
  await answer.waitFor();
  assert.match(await answer.innerText(), /^201/, "Try it out books a ticket");
  // Of the answers, the one that came, not the list of those that could.
  const style = ".responses-table:not(.live-responses-table) { display: none }";
  await operation.screenshot({ path: picture("docs-try-it-out"), style });

  const others = asked.filter((url) => !url.startsWith(baseUrl) && !url.startsWith("data:"));
  assert.deepEqual(others, [], "no request leaves for another host");
  console.log(`Try it out: 201; ${asked.length} requests, ${others.length} of them to other hosts`);
  await page.close();
}

async function takeReport() {
  const { run } = JSON.parse(await readFile(report, "utf8"));
  const page = await browser.newPage({ viewport: { width: 1000, height: 600 } });
  await page.setContent(`${STYLE}<main id="all">${overview(run)}</main>`);
  await page.locator("#all").screenshot({ path: picture("postman-overview") });
  for (const [name, which, file] of REQUESTS) {
    const found = run.executions.filter(({ item }) => item.name === name);
    assert.notEqual(found.length, 0, `the collection has "${name}"`);
    await page.setContent(`${STYLE}<main id="all">${card(found.at(which === "last" ? -1 : 0))}</main>`);
    await page.locator("#all").screenshot({ path: picture(`postman-${file}`) });
  }
  console.log(`${REQUESTS.length + 3} pictures in ${folder}`);
}

function overview({ stats, timings, executions }) {
  const rows = ["requests", "assertions"].map(
    (kind) => `<tr><td>${kind}<td>${stats[kind].total}<td>${stats[kind].failed}`,
  );
  const names = [...new Map(executions.map((each) => [each.item.name, each])).values()];
  const passed = names.map((each) => `<li>${mark(each.assertions)} ${escaped(each.item.name)}`);
  return `<h1>Postman collection: Box Office</h1>
    <table><tr><th><th>run<th>failed${rows.join("")}</table>
    <p>${((timings.completed - timings.started) / 1000).toFixed(1)} seconds</p>
    <ul style="columns: 3">${passed.join("")}</ul>`;
}

function card({ item, request, response, assertions }) {
  const sent = request.body?.raw ? `<h2>Body</h2><pre>${pretty(request.body.raw)}</pre>` : "";
  const headers = request.header
    .filter(({ key }) => ["Idempotency-Key", "Ticket-Phone"].includes(key))
    .map(({ key, value }) => `\n${key}: ${value}`);
  const received = Buffer.from(response.stream.data).toString();
  const tests = assertions.map((each) => `<li>${mark([each])} ${escaped(each.assertion)}`);
  return `<h1>${escaped(item.name)}</h1>
    <pre>${request.method} /${request.url.path.join("/")}${escaped(headers.join(""))}</pre>
    ${sent}
    <h2>${response.code} ${response.status}, ${response.responseTime} ms</h2>
    <pre>${pretty(received)}</pre>
    <h2>Tests</h2><ul>${tests.join("")}</ul>`;
}

function mark(assertions) {
  const failed = assertions?.some(({ error }) => error);
  return failed ? '<b class="failed">✗</b>' : '<b class="passed">✓</b>';
}

function pretty(json) {
  const parsed = JSON.parse(json);
  const shown = Array.isArray(parsed) && parsed.length > 2 ? parsed.slice(0, 2) : parsed;
  const left = Array.isArray(parsed) ? parsed.length - shown.length : 0;
  return escaped(JSON.stringify(shown, null, 2)) + (left ? `\n… and ${left} more` : "");
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
