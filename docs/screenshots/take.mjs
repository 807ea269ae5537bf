// Books a ticket by "Try it out" on the docs page of a running service, and takes all screenshots.
//
// node take.mjs BASE_URL NEWMAN_REPORT.html OUTPUT_FOLDER
//
// Fails when the page does not say 201, or when it asks another host for anything.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [baseUrl, report, folder] = process.argv.slice(2);
const require = createRequire(import.meta.url);

// The report asks these hosts for its styles and scripts; here they come from packages.
const REPORT_FILES = [
  ["bootstrap.min.css", "bootstrap/dist/css/bootstrap.min.css"],
  ["bootstrap.bundle.min.js", "bootstrap/dist/js/bootstrap.bundle.min.js"],
  ["jquery.min.js", "jquery/dist/jquery.min.js"],
  ["all.min.css", "@fortawesome/fontawesome-free/css/all.min.css"],
  ["fa-solid-900.woff2", "@fortawesome/fontawesome-free/webfonts/fa-solid-900.woff2"],
  ["default.min.css", "@highlightjs/cdn-assets/styles/default.min.css"],
  ["highlight.min.js", "@highlightjs/cdn-assets/highlight.min.js"],
  ["clipboard.min.js", "clipboard/dist/clipboard.min.js"],
  ["remarkable.min.js", "remarkable/dist/remarkable.min.js"],
  ["datatables.min.css", "datatables.net-bs4/css/dataTables.bootstrap4.min.css"],
  ["datatables.min.js", "datatables.net/js/jquery.dataTables.min.js"],
];

// The requests of the story that are shown: name in the collection, which of its runs, picture.
const REQUESTS = [
  ["Book a ticket", "first", "book"],
  ["Book until the house is full", "last", "sold-out"],
  ["Change its timing", "first", "update"],
  ["List the tickets of its timing", "first", "viewontime"],
  ["View the ticket", "first", "viewuser"],
  ["Delete the ticket", "first", "delete"],
  ["Book with every field wrong", "first", "bad-input"],
  ["Buy two tickets", "first", "multiplex-purchase"],
];

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
  const page = await browser.newPage({ viewport: { width: 1280, height: 960 } });
  page.setDefaultTimeout(120_000); // the report is large, and the machine may be busy
  await page.route(/^https:/, (route) => {
    const file = new URL(route.request().url()).pathname.split("/").pop();
    const known = REPORT_FILES.find(([name]) => name === file);
    return known ? route.fulfill({ path: require.resolve(known[1]) }) : route.abort();
  });
  await page.goto(pathToFileURL(report).href);
  await page.locator("#switch").click(); // from dark to light
  await page.screenshot({ path: picture("postman-overview") });

  await page.locator("#pills-requests-tab").click();
  await page.locator("#pills-requests").waitFor();
  for (const [name, which, file] of REQUESTS) {
    const card = await page.evaluateHandle(openCard, [name, which]);
    const style = ".dyn-height { max-height: none }"; // long bodies in full
    await card.asElement().screenshot({ path: picture(`postman-${file}`), style });
    // The page is long enough without those that are taken.
    await card.evaluate((taken) => taken.remove());
  }
  console.log(`${REQUESTS.length + 3} pictures in ${folder}`);
}

// Runs in the page: opens the card of one request, with the folders it is in, and returns it.
function openCard([name, which]) {
  const headings = [...document.querySelectorAll('[id^="requests-"]')];
  const found = headings.filter((heading) => heading.textContent.includes(`- ${name} `));
  const card = found.at(which === "last" ? -1 : 0).closest(".card");
  for (const part of card.querySelectorAll(".collapse")) {
    part.classList.add("show");
  }
  for (let folder = card; folder; folder = folder.parentElement.closest(".collapse")) {
    folder.classList.add("show");
  }
  return card;
}
