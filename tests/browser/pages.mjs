// What people do on the pages, in Chromium: run by test_pages.py against a new service.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";

const { URL: baseUrl, STAFF_KEY, MONGOD_PID, PICTURES } = process.env;
const require = createRequire(new URL("../../docs/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

const ASHA = { name: "Asha Rao", phone: "98765 43210" };
const RAVI = { name: "Ravi Iyer", phone: "91234 56780" };
const SHOWN = ["customers", "ticket", "door", "door-yes", "multiplex"]; // of the pages that are looked at
const STAFF = { Authorization: `Bearer ${STAFF_KEY}` };

let browser;
let days; // that can be booked, from tomorrow on

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
  await withPage("", async (page) => {
    days = await page.locator(".days a").evaluateAll((links) => links.slice(1).map((link) => link.dataset.date));
  });
});

after(() => browser.close());

/** Do something on a page, and check that it stayed within the service, its policy and its width. */
async function withPage(address, act, { width = 1280, dark = false, prepare } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const faults = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(baseUrl)) faults.push(`request to ${request.url()}`);
  });
  page.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  try {
    await prepare?.(page);
    await page.goto(`${baseUrl}/${address}`);
    await act(page);
    assert.deepEqual(faults, []);
    assert.deepEqual(await context.cookies(), []);
  } finally {
    await context.close();
  }
}

async function api(method, address, body, headers = {}) {
  const response = await fetch(`${baseUrl}/${address}`, { method, headers, body: body && JSON.stringify(body) });
  const answer = response.status === 204 ? null : await response.json();
  assert.ok(response.ok, `${method} ${address}: ${JSON.stringify(answer)}`);
  return answer;
}

const book = (who, showing) => api("POST", "tickets", { ...who, ...showing });
const ticketsOf = ({ timing, date }) => api("GET", `tickets?timing=${timing}&date=${date}`, undefined, STAFF);
const address = (showing) => `?${new URLSearchParams(showing)}`;
const seat = (page, label) => page.getByLabel(new RegExp(`^${label}, `));

async function fillIn(page, { name, phone }) {
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Phone").fill(phone);
}

async function bookOnPage(page, who, label) {
  await seat(page, label).check();
  await fillIn(page, who);
  await page.getByRole("button", { name: `Book seat ${label}` }).click();
}

async function assertSound(page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${page.url()} is ${wide} px too wide`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  assert.deepEqual(
    violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]),
    [],
  );
}

test("a customer books seat B2, moves to seat A3 of another showing, prints and cancels", () =>
  withPage("", async (page) => {
    const [date] = days;
    await page.locator(`.days [data-date="${date}"]`).click();
    await page.getByRole("link", { name: /^18:00/ }).click();
    await bookOnPage(page, ASHA, "B2");
    await page.waitForURL(/\/tickets\//);
    await page.getByRole("heading", { name: "18:00 · Seat B2" }).waitFor();
    const id = page.url().split("/").at(-1);
    const { admission_code: code } = await api("GET", `tickets/${id}`);
    assert.equal((await page.locator("figcaption").innerText()).replaceAll(" ", ""), code);
    await page.waitForFunction(() => document.querySelector("figure img").naturalWidth > 0);

    await page.getByRole("button", { name: "Change" }).click();
    await assert.doesNotReject(seat(page, "B2").waitFor());
    assert.match(await seat(page, "B2").getAttribute("aria-label"), /yours/);
    await page.getByRole("link", { name: /^19:00/ }).click();
    await page.getByRole("heading", { name: /19:00 · choose a seat/ }).waitFor();
    await seat(page, "A3").check();
    await page.getByRole("button", { name: "Move to 19:00, seat A3" }).click();
    await page.getByRole("heading", { name: "19:00 · Seat A3" }).waitFor();
    assert.deepEqual(await ticketsOf({ timing: "18:00", date }), []);

    const pdf = await page.pdf({ format: "A4" });
    assert.equal(pdf.toString("latin1").match(/\/Type\s*\/Page\b/g).length, 1, "one page");

    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.getByLabel("The phone number you booked with").fill(RAVI.phone);
    await page.getByRole("button", { name: "Cancel the ticket" }).click();
    await page.getByText("This is not the phone number that the ticket was booked with.").waitFor();
    await page.getByLabel("The phone number you booked with").fill("+91 9876543210");
    await page.getByRole("button", { name: "Cancel the ticket" }).click();
    await page.getByRole("heading", { name: "Ticket cancelled" }).waitFor();
    assert.equal((await fetch(`${baseUrl}/tickets/${id}`)).status, 404);
    assert.equal((await page.reload()).status(), 404);
    await page.getByText("There is no ticket with this id or code.").waitFor();
    await assertSound(page);
  }));

test("a family of four gets seats side by side, chooses others, moves and cancels", () =>
  withPage(address({ date: days[2], timing: "18:00" }), async (page) => {
    await page.getByLabel("How many people?").fill("4");
    await fillIn(page, ASHA);
    await page.getByRole("button", { name: "Book the best 4 seats" }).click();
    await page.waitForURL(/\/tickets\//);
    const id = page.url().split("/").at(-1);
    const { seats } = await api("GET", `tickets/${id}`);
    assert.deepEqual(seats, [0, 1, 2, 3].map((next) => seats[0] + next));
    await page.getByRole("heading", { name: /^18:00 · Seats [A-D]1–[A-D]4$|^18:00 · Seats [A-D]2–[A-D]5$/ }).waitFor();

    // Seats that others choose one by one: a fifth replaces the first.
    await book(RAVI, { date: days[2], timing: "19:00", seats });
    await page.getByRole("button", { name: "Change" }).click();
    await page.getByRole("button", { name: "These are already your seats" }).waitFor();
    await page.getByRole("link", { name: /^19:00/ }).click();
    await page.getByRole("button", { name: "Move to 19:00", exact: true }).waitFor();
    await seat(page, "D5").check();
    await page.getByRole("button", { name: "Choose 3 more seats" }).click();
    assert.equal((await api("GET", `tickets/${id}`)).timing, "18:00");
    for (const label of ["D1", "D2", "D3", "D4"]) await seat(page, label).check();
    assert.equal(await seat(page, "D5").isChecked(), false);
    await page.getByRole("button", { name: "Move to 19:00, seats D1–D4" }).click();
    await page.getByRole("heading", { name: "19:00 · Seats D1–D4" }).waitFor();

    await page.getByRole("button", { name: "Change" }).click();
    await page.getByRole("link", { name: /^20:00/ }).click();
    await page.getByRole("button", { name: "Move to 20:00", exact: true }).click();
    await page.getByRole("heading", { name: "20:00 · Seats D1–D4" }).waitFor();

    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.getByLabel("The phone number you booked with").fill(ASHA.phone);
    await page.getByRole("button", { name: "Cancel the ticket" }).click();
    await page.getByRole("heading", { name: "Ticket cancelled" }).waitFor();
    assert.deepEqual(await ticketsOf({ date: days[2], timing: "20:00" }), []);
  }));

test("a party that chooses its seats books exactly those; more seats than are left are refused", () =>
  withPage(address({ date: days[2], timing: "21:00" }), async (page) => {
    await page.getByLabel("How many people?").fill("2");
    await fillIn(page, ASHA);
    await seat(page, "C4").check();
    await seat(page, "A1").check();
    await book(RAVI, { date: days[2], timing: "21:00", seat: 1 });
    await page.getByText("Seat A1 has just been taken. Please choose again.").waitFor();
    await seat(page, "D1").check();
    await page.getByRole("button", { name: "Book seats C4, D1" }).click();
    await page.getByRole("heading", { name: "21:00 · Seats C4, D1" }).waitFor();
    await page.goBack();
    await page.getByLabel("How many people?").fill("18");
    await fillIn(page, ASHA);
    await page.getByRole("button", { name: "Book the best 18 seats" }).click();
    await page.getByText("This showing does not have that many seats left. 17 left.").waitFor();
  }));

test("a ticket whose phone is in digits of another script is changed and cancelled", async () => {
  const phone = "९८७६५ ४३२१०";
  const { ticket_id: id } = await book({ ...ASHA, phone }, { date: days[3], timing: "12:00" });
  await withPage(`tickets/${id}`, async (page) => {
    await page.getByRole("button", { name: "Change" }).click();
    await seat(page, "D5").check();
    await page.getByRole("button", { name: "Change to seat D5" }).click();
    await page.getByRole("heading", { name: "12:00 · Seat D5" }).waitFor();
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.getByLabel("The phone number you booked with").fill(phone);
    await page.getByRole("button", { name: "Cancel the ticket" }).click();
    await page.getByRole("heading", { name: "Ticket cancelled" }).waitFor();
  });
});

test("of two customers for one seat, the loser sees it taken and keeps what they typed", () =>
  withPage(address({ date: days[0], timing: "20:00" }), async (page) => {
    await seat(page, "B3").check();
    await fillIn(page, RAVI);
    // The other browser wins before this one looks again.
    await page.route("**/seats?*", (route) => route.abort());
    await withPage(address({ date: days[0], timing: "20:00" }), async (other) => {
      await bookOnPage(other, ASHA, "B3");
      await other.waitForURL(/\/tickets\//);
    });
    await page.getByRole("button", { name: "Book seat B3" }).click();
    await page.getByText("Seat B3 has just been taken. Please choose again.").waitFor();
    await page.unroute("**/seats?*");
    await page.waitForFunction(() => document.querySelector("input[value='8']").disabled);
    assert.equal(await page.getByLabel("Name").inputValue(), RAVI.name);
    await seat(page, "B4").check();
    await page.getByRole("button", { name: "Book seat B4" }).click();
    await page.waitForURL(/\/tickets\//);
  }));

test("a chosen seat that is taken meanwhile is deselected, and the page says so", () =>
  withPage(address({ date: days[0], timing: "15:00" }), async (page) => {
    await seat(page, "A5").check();
    await book(RAVI, { date: days[0], timing: "15:00", seat: 5 });
    await page.getByText("Seat A5 has just been taken.").waitFor();
    assert.equal(await seat(page, "A5").isDisabled(), true);
    await page.getByRole("button", { name: "Book the best seat" }).waitFor();
  }));

test("a double click books once", () =>
  withPage(address({ date: days[1], timing: "10:00" }), async (page) => {
    await seat(page, "A1").check();
    await fillIn(page, ASHA);
    let sent = 0;
    await page.route("**/tickets", (route) => route.continue(sent++));
    await page.getByRole("button", { name: "Book seat A1" }).dblclick();
    await page.waitForURL(/\/tickets\//);
    assert.equal(sent, 1);
    assert.equal((await ticketsOf({ date: days[1], timing: "10:00" })).length, 1);
  }));

test("a booking whose response is lost is sent again and books once", () =>
  withPage(address({ date: days[1], timing: "11:00" }), async (page) => {
    await page.route("**/tickets", async (route) => {
      await route.fetch();
      await route.abort();
    }, { times: 1 });
    await bookOnPage(page, ASHA, "A2");
    await page.getByText("The box office is not responding. Trying again…").waitFor();
    await page.waitForURL(/\/tickets\//);
    assert.equal((await ticketsOf({ date: days[1], timing: "11:00" })).length, 1);
  }));

test("refusals appear next to their fields in the API's own words", () =>
  withPage(address({ date: days[1], timing: "12:00" }), async (page) => {
    await bookOnPage(page, { name: " ", phone: "98765" }, "A4");
    await page.getByText(/Not a valid phone number/).waitFor();
    const name = page.getByLabel("Name");
    assert.equal(await name.evaluate((input) => input === document.activeElement), true);
    assert.equal(await name.getAttribute("aria-invalid"), "true");
    const beside = await page.locator("#phone-error").innerText();
    assert.match(beside, /^Not a valid phone number/);
    assert.equal(await page.getByLabel("Phone").inputValue(), "98765");
    await assertSound(page);
  }));

test("a ticket is booked below a proxy's path prefix", () =>
  withPage(`theatre/${address({ date: days[1], timing: "13:00" })}`, async (page) => {
    await bookOnPage(page, ASHA, "C1");
    await page.waitForURL(/\/theatre\/tickets\//);
    await page.getByRole("heading", { name: "13:00 · Seat C1" }).waitFor();
    await page.waitForFunction(() => document.querySelector("figure img").naturalWidth > 0);
    await page.getByRole("link", { name: "Box Office" }).click();
    await page.getByRole("link", { name: /^13:00/ }).waitFor();
  }, {
    prepare: (page) => page.route(/./, async (route) => {
      const [url, headers] = [route.request().url(), route.request().headers()];
      if (!url.startsWith(`${baseUrl}/theatre/`)) return route.fulfill({ status: 404 });
      const behind = { url: url.replace("/theatre/", "/"), headers: { ...headers, "X-Forwarded-Prefix": "/theatre" } };
      return route.fulfill({ response: await route.fetch(behind) });
    }),
  }));

test("the address keeps the day and the showing, and Back works", () =>
  withPage(address({ date: days[2] }), async (page) => {
    await page.getByRole("link", { name: /^13:00/ }).click();
    await page.waitForURL(new RegExp(`date=${days[2]}&timing=13%3A00`));
    await page.getByRole("heading", { name: /13:00 · choose a seat/ }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: /13:00 · choose a seat/ }).waitFor();
    await page.goBack();
    await page.locator(".house").waitFor({ state: "hidden" });
    await page.goto(`${baseUrl}/?date=2020-01-01`);
    await page.getByText("This date is in the past.").waitFor();
  }));

test("a seat can be booked with the keyboard only", () =>
  withPage(address({ date: days[2] }), async (page) => {
    const press = async (key, times = 1) => {
      for (let time = 0; time < times; time++) await page.keyboard.press(key);
    };
    await page.getByRole("link", { name: /^16:00/ }).focus();
    await press("Enter");
    await seat(page, "A1").waitFor();
    for (let steps = 0; !(await seat(page, "A1").evaluate((input) => input === document.activeElement)); steps++) {
      assert.ok(steps < 2, "Tab goes from the showing to its seats");
      await press("Tab");
    }
    await press("ArrowRight", 2);
    assert.equal(await seat(page, "A3").isChecked(), true);
    await press("Tab");
    await page.keyboard.type(ASHA.name);
    await press("Tab");
    await page.keyboard.type(ASHA.phone);
    await press("Enter");
    await page.getByRole("heading", { name: "16:00 · Seat A3" }).waitFor();
  }));

test("an admitted ticket says so in place of its buttons", async () => {
  const ticket = await book(ASHA, { date: days[0], timing: "14:00" });
  await withPage(`tickets/${ticket.ticket_id}`, async (page) => {
    await page.getByRole("button", { name: "Change" }).waitFor();
    await api("POST", "admissions", { admission_code: ticket.admission_code }, STAFF);
    await page.getByText(/^Admitted at \d\d:\d\d/).waitFor();
    await page.getByRole("button", { name: "Change" }).waitFor({ state: "hidden" });
  });
});

test("the door asks for the key, admits, refuses the second time, and undoes an admission", async () => {
  const showing = { date: days[0], timing: "17:00" };
  const asha = await book(ASHA, { ...showing, seat: 8 });
  const ravi = await book(RAVI, { ...showing, seat: 12 });
  const other = await book(ASHA, { ...showing, timing: "21:00" });
  await withPage(`door${address(showing)}`, async (page) => {
    await page.getByLabel("Staff key").fill("not-the-key");
    await page.getByRole("button", { name: "Open the door" }).click();
    await page.getByText(/the staff key is missing or wrong/).waitFor();
    await page.getByLabel("Staff key").fill(STAFF_KEY);
    await page.getByRole("button", { name: "Open the door" }).click();

    const code = page.getByLabel("Name or code");
    const scan = async (text, words) => {
      await code.fill(text);
      await code.press("Enter");
      await page.locator("#verdict").getByText(words).waitFor();
    };
    const counts = () => page.locator(".counts dd").allInnerTexts();
    await page.getByRole("button", { name: /^Admit Asha Rao/ }).waitFor();
    assert.deepEqual(await counts(), ["2", "0", "2"]);
    await scan(asha.admission_code.toLowerCase(), "Come in");
    await page.locator("#verdict").getByText("Asha Rao · seat B3").waitFor();
    await scan(asha.admission_code, /^Already in, \d\d:\d\d$/);
    await scan(other.admission_code, "Ticket for 21:00");
    await scan("0000-0000-0000", "No such ticket");
    await code.fill("ravi");
    await page.getByRole("button", { name: /^Admit Asha Rao/ }).waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "Admit Ravi Iyer, seat C2" }).click();
    await page.locator("#verdict").getByText("Ravi Iyer · seat C2").waitFor();
    await code.fill("");
    await page.waitForFunction(() => document.getElementById("in").textContent === "2");
    assert.deepEqual(await counts(), ["2", "2", "0"]);

    await page.getByRole("button", { name: /^Undo Ravi Iyer/ }).click();
    await page.getByText("Was Ravi Iyer admitted by mistake?").waitFor();
    await assertSound(page);
    await page.getByRole("button", { name: "Keep admission" }).click();
    assert.ok((await api("GET", `tickets/${ravi.ticket_id}`)).admitted_at);
    await page.getByRole("button", { name: /^Undo Ravi Iyer/ }).click();
    await page.getByRole("button", { name: "Undo admission" }).click();
    await page.getByRole("button", { name: /^Admit Ravi Iyer/ }).waitFor();
    assert.equal((await api("GET", `tickets/${ravi.ticket_id}`)).admitted_at, null);
    await page.reload(); // the key is kept for the tab
    await page.getByRole("button", { name: /^Admit Ravi Iyer/ }).waitFor();
  });
});

test("a party of four is admitted in pairs, and corrected", async () => {
  const showing = { date: days[0], timing: "16:00" };
  const { ticket_id: id, admission_code } = await book(ASHA, { ...showing, seats: [6, 7, 8, 9] });
  const admitted = async () => (await api("GET", `tickets/${id}`)).admitted;
  await withPage(`door${address(showing)}`, async (page) => {
    const verdict = page.locator("#verdict");
    const row = page.getByRole("listitem").filter({ hasText: "Asha Rao" });
    const counts = () => page.locator(".counts dd").allInnerTexts();
    await row.getByLabel(/^How many/).selectOption("only 2");
    // A row stays with its ticket when another one comes before it.
    await book(RAVI, { ...showing, seat: 1 });
    await page.getByRole("button", { name: /^Admit Ravi/ }).waitFor();
    await row.getByRole("button", { name: "Admit Asha Rao, seats B1–B4" }).click();
    await verdict.getByText("Asha Rao · seats B1–B4 · 2 of 4 in").waitFor();
    await row.locator("em").getByText("2 of 4 in").waitFor();
    assert.deepEqual(await counts(), ["5", "2", "3"]);
    await withPage(`tickets/${id}`, async (ticket) => {
      await ticket.getByText("Admitted: 2 of 4. The others can still be admitted.").waitFor();
    });

    // Another door lets one in while this one aims at two.
    await page.route("**/tickets?*", (route) => route.abort());
    await api("POST", "admissions", { admission_code, people: 1 }, STAFF);
    await row.getByLabel(/^How many/).selectOption("all 2");
    await row.getByRole("button", { name: /^Admit/ }).click();
    await verdict.getByText("Asha Rao · seats B1–B4 · 4 of 4 in").waitFor();
    await page.unroute("**/tickets?*");
    await row.locator("em").getByText(/^in/).waitFor();
    await row.getByRole("button", { name: /^Undo/ }).click();
    await assertSound(page);
    await page.getByLabel("How many people are in?").selectOption("3");
    await page.getByRole("button", { name: "Undo admission" }).click();
    await verdict.getByText("3 of 4 in").waitFor();
    assert.equal(await admitted(), 3);
    await page.getByLabel("Name or code").fill(admission_code);
    await page.getByLabel("Name or code").press("Enter");
    await verdict.getByText("4 of 4 in").waitFor();
    await row.locator("em").getByText(/^in/).waitFor();
    await row.getByRole("button", { name: /^Undo/ }).click();
    await page.getByRole("button", { name: "Undo admission" }).click();
    await verdict.getByText("0 of 4 in").waitFor();
    assert.equal(await admitted(), 0);
  }, { prepare: withKey });
});

test("a scan whose response is lost is sent again with its key, and admits", async () => {
  const showing = { date: days[0], timing: "13:00" };
  const ticket = await book(ASHA, showing);
  await withPage(`door${address(showing)}`, async (page) => {
    const keys = [];
    await page.route("**/admissions", async (route) => {
      keys.push(route.request().headers()["idempotency-key"]);
      if (keys.length > 1) return route.continue();
      await route.fetch();
      return route.abort();
    });
    for (let impatience = 0; impatience < 2; impatience++) {
      await page.getByLabel("Name or code").fill(ticket.admission_code);
      await page.getByLabel("Name or code").press("Enter");
    }
    await page.getByText("No response. Trying again…").waitFor();
    await page.locator("#verdict").getByText("Come in").waitFor();
    assert.equal(keys.length, 2);
    assert.equal(new Set(keys).size, 1);
  }, { prepare: withKey });
});

test("the camera admits a code once while it stays in view", async () => {
  const showing = { date: days[0], timing: "12:00" };
  const ticket = await book(ASHA, showing);
  await withPage(`door${address(showing)}`, async (page) => {
    let asked = 0;
    await page.route("**/admissions", (route) => route.continue(asked++));
    await page.getByRole("button", { name: "Camera" }).click();
    await page.locator("#verdict").getByText("Come in").waitFor();
    await page.waitForTimeout(1000);
    assert.equal(asked, 1);
    await page.getByRole("button", { name: "Camera" }).click();
    await page.locator("video").waitFor({ state: "hidden" });
  }, {
    prepare: async (page) => {
      await withKey(page);
      // Chromium on Linux has a camera here, but reads no codes.
      await page.addInitScript((rawValue) => {
        window.BarcodeDetector = class {
          detect = async () => [{ rawValue }];
        };
      }, ticket.admission_code);
    },
  });
});

test("at the door, a scan works wherever the focus is, and admits nobody else", async () => {
  const showing = { date: days[0], timing: "13:00" };
  const soren = await book({ ...ASHA, name: "Søren O’Brien" }, showing);
  const ravi = await book(RAVI, showing);
  await withPage(`door${address(showing)}`, async (page) => {
    const verdict = page.getByRole("alert").filter({ hasText: /\S/ }).first();
    const admitted = async ({ ticket_id }) => (await api("GET", `tickets/${ticket_id}`)).admitted;
    await page.getByRole("button", { name: /^Admit Ravi/ }).waitFor();
    // A name and Enter puts the focus on the guest's button; then the next ticket is scanned.
    await page.getByLabel("Name or code").fill("soren o'brien");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: /^Admit Søren/, focused: true }).waitFor().catch(() => {});
    await page.keyboard.type(`]Q1${ravi.admission_code}`);
    await page.keyboard.press("Enter");
    await verdict.getByText("Come in").waitFor();
    assert.deepEqual([await admitted(soren), await admitted(ravi)], [0, 1]);
    // The verdict goes when the next name is typed; a scan that ends with Tab is one, too.
    await page.getByLabel("Name or code").fill("x");
    await page.getByText("Come in").waitFor({ state: "hidden" });
    await page.keyboard.type(soren.admission_code);
    await page.keyboard.press("Tab");
    await page.getByText("Come in").waitFor();
    assert.equal(await admitted(soren), 1);
  }, { prepare: withKey });
});

test("a booking made meanwhile does not shift the door's list", async () => {
  const showing = { date: days[0], timing: "14:00" };
  const ravi = await book(RAVI, { ...showing, seat: 12 });
  await withPage(`door${address(showing)}`, async (page) => {
    const buttons = page.getByRole("button", { name: /^Admit / });
    await buttons.first().focus();
    const asha = await book(ASHA, { ...showing, seat: 1 });
    await buttons.nth(1).waitFor();
    assert.match(await buttons.first().getAttribute("aria-label"), /Ravi/);
    await page.keyboard.press("Enter");
    await page.getByText("Come in").waitFor();
    const admitted = await Promise.all([ravi, asha].map(({ ticket_id }) => api("GET", `tickets/${ticket_id}`)));
    assert.deepEqual(admitted.map((ticket) => ticket.admitted), [1, 0]);
  }, { prepare: withKey });
});

test("the pages work where storage is blocked, AbortSignal.any is missing and the device's clock is wrong", async () => {
  const prepare = (page) => page.addInitScript(() => {
    delete AbortSignal.any;
    for (const name of ["sessionStorage", "localStorage"])
      Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });
    const now = Date.now;
    Date.now = () => now() - 20 * 3600_000;
  });
  await withPage("", (page) => page.getByRole("link", { name: /^18:00/ }).waitFor(), { prepare });
  await withPage("door", async (page) => {
    await page.getByLabel("Staff key").fill(STAFF_KEY);
    await page.getByRole("button", { name: "Open the door" }).click();
    await page.getByLabel("Name or code").waitFor();
  }, { prepare });
});

test("an empty number field gets a plain message", async () => {
  const movie = await sellMovie({ seats: 9, showtime: "23:59", title: "Deewaar" });
  await withPage("multiplex", async (page) => {
    const form = page.getByRole("listitem").filter({ hasText: "Deewaar" });
    await form.getByRole("spinbutton").fill("");
    await form.getByRole("button").click();
    await form.getByText("Enter how many tickets you want.").waitFor();
  });
  await api("DELETE", `api/movies/${movie}`, undefined, STAFF);
});

test("a double click, or Enter held down, buys a movie's ticket once", async () => {
  for (const showtime of ["23:57", "23:58"]) {
    const movie = await sellMovie({ seats: 9, showtime, title: `Sholay at ${showtime}` });
    await withPage("multiplex", async (page) => {
      const form = page.getByRole("listitem").filter({ hasText: `Sholay at ${showtime}` });
      const button = form.getByRole("button");
      if (showtime === "23:57") await button.dblclick();
      else {
        await form.getByRole("spinbutton").focus();
        for (let times = 0; times < 20; times++) await page.keyboard.down("Enter");
      }
      await page.waitForURL(/\/tickets\//);
      await page.keyboard.up("Enter");
      // What was bought is still there after a reload.
      await page.reload();
      await page.getByRole("heading", { name: new RegExp(`^${showtime} · Seat`) }).waitFor();
    });
    const sold = await api("GET", `tickets?movie=${movie}`, undefined, STAFF);
    assert.equal(sold.length, 1);
    await api("DELETE", `tickets/${sold[0].ticket_id}`);
    await api("DELETE", `api/movies/${movie}`, undefined, STAFF);
  }
});

test("two taps on Camera start one camera", () =>
  withPage("door", async (page) => {
    await page.getByRole("button", { name: "Camera" }).dblclick();
    await page.locator("video").waitFor();
    assert.equal(await page.evaluate(() => window.cameras), 1);
  }, {
    prepare: async (page) => {
      await withKey(page);
      await page.addInitScript(() => {
        window.BarcodeDetector = class {
          detect = async () => [];
        };
        window.cameras = 0;
        const { mediaDevices } = navigator;
        const start = mediaDevices.getUserMedia.bind(mediaDevices);
        mediaDevices.getUserMedia = (wanted) => start(wanted, window.cameras++);
      });
    },
  }));

test("with forced colours, a taken seat does not look like a free one", () =>
  withPage(address({ date: days[3], timing: "14:00" }), async (page) => {
    const look = async () => (await page.locator("label").filter({ has: seat(page, "C3") }).screenshot()).toString("base64");
    const free = await look();
    await book(RAVI, { date: days[3], timing: "14:00", seat: 13 });
    await page.getByLabel("C3, taken").waitFor();
    assert.notEqual(await look(), free);
  }, { prepare: (page) => page.emulateMedia({ forcedColors: "active" }) }));

test("a refresh without news redraws no seat and announces nothing", async () => {
  const showing = { date: days[3], timing: "15:00" };
  await book(RAVI, { ...showing, amount: 20 });
  await withPage(address(showing), async (page) => {
    await page.getByText("This showing is sold out.").waitFor();
    await page.evaluate(() => {
      window.changes = [];
      const observer = new MutationObserver((records) => window.changes.push(...records.map(({ target }) => target.outerHTML ?? target.data)));
      const everything = { childList: true, characterData: true, attributes: true, subtree: true };
      for (const place of document.querySelectorAll("[role=status], [role=alert], fieldset")) observer.observe(place, everything);
    });
    for (let look = 0; look < 2; look++) await page.waitForResponse(/seats\?/);
    await page.waitForTimeout(100);
    assert.deepEqual(await page.evaluate(() => window.changes), []);
  });
});

test("a page waits a minute at most, no matter how long Retry-After is", () =>
  withPage("", async (page) => {
    await page.getByRole("link", { name: /^18:00/ }).waitFor();
    let asked = 0;
    await page.route("**/?date=*", (route) => {
      asked++;
      return route.fulfill({ status: 429, contentType: "application/json", headers: { "Retry-After": "9999999" }, body: JSON.stringify({ detail: "Too many." }) });
    });
    await page.clock.runFor(5_000);
    await page.getByText("Too many. Trying again…").waitFor();
    await page.clock.runFor(50_000);
    assert.equal(asked, 1);
    await page.unroute("**/?date=*");
    await page.clock.runFor(20_000);
    await page.getByText("Too many. Trying again…").waitFor({ state: "hidden" });
  }, { prepare: (page) => page.clock.install() }));

test("a link with only a timing opens its next showing", () =>
  withPage(address({ timing: "18:00" }), (page) => page.getByRole("heading", { name: /18:00 · choose a seat/ }).waitFor().then(async () => {
    assert.equal(await page.locator(".days [aria-current=date]").getAttribute("data-date"), days[3]);
  }), {
    // As if the day of all others had not ended yet.
    prepare: (page) => page.route(`${baseUrl}/`, async (route) => {
      const response = await route.fetch();
      const slots = await response.json();
      for (const slot of slots) if (slot.timing === "18:00") slot.date = days[3];
      return route.fulfill({ response, json: slots });
    }),
  }));

const dayBefore = (date) => new Date(Date.parse(date) - 86_400_000).toISOString().slice(0, 10);

/** Serve the page once as if it were the end of yesterday. */
function onceYesterday(where) {
  const today = dayBefore(days[0]);
  return (page) => page.route((url) => url.href === `${baseUrl}/${where}`, async (route) => {
    const response = await route.fetch();
    const soon = new Date(Date.now() + 2_000).toISOString();
    const body = (await response.text()).replaceAll(today, dayBefore(today));
    return route.fulfill({ response, body: body.replace(/data-midnight="[^"]*"/, `data-midnight="${soon}"`) });
  }, { times: 1 });
}

test("after midnight, an open page turns to the new day and keeps what was typed", async () => {
  const today = dayBefore(days[0]);
  const where = address({ date: dayBefore(today) });
  await withPage(where, async (page) => {
    await page.getByRole("link", { name: /^Today/ }).and(page.locator(`[data-date="${dayBefore(today)}"]`)).waitFor();
    await page.evaluate((name) => (document.getElementById("name").value = name), ASHA.name);
    await page.getByRole("link", { name: /^Today/ }).and(page.locator(`[data-date="${today}"]`)).waitFor();
    await page.getByText("This date is in the past.").waitFor({ state: "hidden" });
    await page.locator(`[data-date="${days[0]}"]`).first().click();
    await page.getByRole("link", { name: /^18:00/ }).click();
    assert.equal(await page.getByLabel("Name").inputValue(), ASHA.name);
  }, { prepare: onceYesterday(where) });
});

test("after midnight, the door stays with its showing, and offers those of the new day", async () => {
  const today = dayBefore(days[0]);
  const where = `door${address({ timing: "21:00" })}`;
  await withPage(where, async (page) => {
    await page.getByText("Today").waitFor();
    await page.getByText("Today").waitFor({ state: "hidden" });
    const showings = page.getByLabel("Showing");
    const isYesterdays = () => page.waitForFunction((day) => document.querySelector("select").value === `date=${day}&timing=21%3A00`, dayBefore(today));
    await isYesterdays();
    await page.reload();
    await isYesterdays();
    await showings.selectOption(`date=${today}&timing=21%3A00`);
    await page.getByText("Today").waitFor();
  }, { prepare: async (page) => { await withKey(page); await onceYesterday(where)(page); } });
});

test("the door offers the next day's showings whose doors are open", async () => {
  const showing = { date: days[0], timing: "09:00" };
  const { admission_code } = await book({ ...ASHA, name: "Noor Khan" }, showing);
  await withPage(`door${address({ date: dayBefore(days[0]), timing: "21:00" })}`, async (page) => {
    await page.getByLabel("Showing").selectOption(`date=${days[0]}&timing=09%3A00`);
    await page.getByRole("button", { name: /^Admit Noor Khan/ }).click();
    await page.getByText("Come in").waitFor();
    await api("DELETE", `admissions/${admission_code}`, undefined, STAFF);
  }, { prepare: withKey });
});

test("the ticket's page says when doors open, also after a move", async () => {
  const ticket = await book(ASHA, { date: days[2], timing: "11:00" });
  await withPage(`tickets/${ticket.ticket_id}`, async (page) => {
    const opens = page.getByText("Doors open").locator("xpath=following-sibling::*");
    const day = (date) => String(Number(date.slice(8))); // its doors open 48 hours earlier
    await opens.getByText(new RegExp(` ${day(days[0])} .*, 11:00$`)).waitFor();
    await page.getByRole("button", { name: "Change" }).click();
    await page.locator(`[data-date="${days[3]}"]`).click();
    await page.getByRole("link", { name: /^11:00/ }).click();
    await page.getByRole("button", { name: /^Move to .+11:00$/ }).click();
    await opens.getByText(new RegExp(` ${day(days[1])} .*, 11:00$`)).waitFor();
  });
});

async function sellMovie({ seats, ...movie }) {
  const { screen } = await api("POST", "api/screens", { seats }, STAFF);
  const { movie: number } = await api("POST", "api/movies", { screen, ...movie }, STAFF);
  await api("PUT", "api/tickets", { movie: number }, STAFF);
  return number;
}

function withKey(page) {
  return page.addInitScript((key) => sessionStorage.setItem("staff-key", key), STAFF_KEY);
}

test("a movie's ticket is bought, moved to another day and seat, admitted and returned", async () => {
  const { screen } = await api("POST", "api/screens", { seats: 90, seats_per_row: 30 }, STAFF);
  const { movie } = await api("POST", "api/movies", { screen, showtime: "20:30", title: "Sholay" }, STAFF);
  await api("POST", "api/movies", { screen, showtime: "17:15", title: "Mughal-e-Azam" }, STAFF);
  await api("PUT", "api/tickets", { movie }, STAFF);
  await withPage("multiplex", async (page) => {
    await page.getByText("not on sale").waitFor();
    await page.getByLabel("Tickets").first().fill("91");
    await page.getByRole("button", { name: /Buy/ }).first().click();
    await page.getByText("This showing does not have that many seats left. 90 left.").waitFor();
    await assertSound(page);
    await page.getByLabel("Tickets").first().fill("3");
    await page.getByRole("button", { name: /Buy/ }).first().click();
    await page.waitForURL(/\/tickets\//);
    const id = page.url().split("/").at(-1);
    const { labels, date } = await api("GET", `tickets/${id}`);
    await page.getByRole("heading", { name: `20:30 · Seats ${labels[0]}–${labels[2]}` }).waitFor();
    await page.getByText(`Sholay · screen ${screen}`).waitFor();
    assert.equal(await page.locator("#holder").isVisible(), false);

    await page.getByRole("button", { name: "Change" }).click();
    await page.getByRole("button", { name: "These are already your seats" }).waitFor();
    const day = days.find((each) => each > date);
    await page.locator(`#changing [data-date="${day}"]`).click();
    for (const label of ["C29", "C28", "C30"]) await seat(page, label).check();
    await assertSound(page);
    await page.getByRole("button", { name: /^Move to .+, 20:30, seats C28–C30$/ }).click();
    await page.getByRole("heading", { name: "20:30 · Seats C28–C30" }).waitFor();
    const moved = await api("GET", `tickets/${id}`);
    assert.deepEqual([moved.movie, moved.date, moved.seats], [movie, day, [88, 89, 90]]);

    await withPage(`door?${new URLSearchParams({ date: days[0], timing: "09:00" })}`, async (door) => {
      const bought = await api("POST", "api/tickets", { movie, date: days[0], name: "Zoya" });
      await door.getByLabel("Showing").selectOption({ label: `20:30 Sholay, screen ${screen}` });
      await door.getByRole("button", { name: /^Admit Zoya/ }).click();
      await door.locator("#verdict").getByText("Come in").waitFor();
      assert.equal((await api("GET", `tickets/${bought.ticket_id}`)).admitted, 1);
    }, { prepare: withKey });

    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    assert.equal(await page.getByLabel(/phone number/).isVisible(), false);
    await page.getByRole("button", { name: "Cancel the ticket" }).click();
    await page.getByRole("heading", { name: "Ticket cancelled" }).waitFor();
    assert.equal((await fetch(`${baseUrl}/tickets/${id}`)).status, 404);
  });
});

test("while the database is away the page says so, and then the booking is made", () =>
  withPage(address({ date: days[3], timing: "18:00" }), async (page) => {
    await seat(page, "B1").check();
    await fillIn(page, ASHA);
    process.kill(Number(MONGOD_PID), "SIGSTOP");
    try {
      await page.getByRole("button", { name: "Book seat B1" }).click();
      await page.getByText(/Trying again…$/).waitFor({ timeout: 60_000 });
      assert.equal(await page.getByLabel("Name").inputValue(), ASHA.name);
      await assertSound(page);
    } finally {
      process.kill(Number(MONGOD_PID), "SIGCONT");
    }
    await page.waitForURL(/\/tickets\//, { timeout: 60_000 });
    await page.getByRole("heading", { name: "18:00 · Seat B1" }).waitFor();
    assert.equal((await ticketsOf({ date: days[3], timing: "18:00" })).length, 1);
  }));

test("every page is accessible and fits on phones and desks, in light and dark", async () => {
  const showing = { date: days[0], timing: "18:00" };
  const people = ["Asha Rao", "Meera Nair", "Ravi Iyer", "José Álvarez", "Li Na", "Zoë Martin", "Imran Khan", "Uma Devi"];
  const parties = [[1, 2], [5], [9, 10], [14, 15], [16, 17, 18], [20]];
  for (const [number, seats] of parties.entries()) await book({ ...ASHA, name: people[number] }, { ...showing, seats });
  const houses = { "09:00": 2, "10:00": 5, "11:00": 9, "14:00": 13, "15:00": 11, "16:00": 20, "17:00": 14, "19:00": 3, "21:00": 19 };
  for (const [timing, taken] of Object.entries(houses)) {
    const { booked } = await api("GET", `seats?timing=${timing}&date=${showing.date}`);
    if (booked < taken) await book(ASHA, { ...showing, timing, amount: taken - booked });
  }
  const [ticket, ...others] = await ticketsOf(showing);
  for (const [number, { admission_code }] of others.slice(0, 3).entries())
    await api("POST", "admissions", { admission_code, people: number === 1 ? 1 : undefined }, STAFF);
  const [{ movie }] = await api("GET", "api/movies");
  const wide = await api("POST", "api/tickets", { movie, amount: 4 });
  const pages = {
    customers: [address(showing), async (page) => {
      await page.getByLabel("How many people?").fill("2");
      for (const label of ["B2", "B3"]) await seat(page, label).check();
      await fillIn(page, { name: "Asha Rao", phone: "98765" });
      await page.getByRole("button", { name: "Book seats B2–B3" }).click();
      await page.locator("#phone-error:not(:empty)").waitFor();
      await page.locator(":focus").blur();
    }],
    ticket: [`tickets/${ticket.ticket_id}`, (page) => page.getByRole("button", { name: "Print" }).waitFor()],
    change: [`tickets/${ticket.ticket_id}`, async (page) => {
      await page.getByRole("button", { name: "Change" }).click();
      await seat(page, "B2").check();
    }],
    wide: [`tickets/${wide.ticket_id}`, async (page) => {
      await page.getByRole("button", { name: "Change" }).click();
      await seat(page, "A1").check();
    }],
    cancel: [`tickets/${ticket.ticket_id}`, (page) => page.getByRole("button", { name: "Cancel", exact: true }).click()],
    door: [`door${address(showing)}`, async (page) => {
      await page.getByLabel("Name or code").fill(others[0].admission_code);
      await page.getByLabel("Name or code").press("Enter");
      await page.getByText(/^Already in/).waitFor();
    }],
    "door-yes": [`door${address(showing)}`, async (page) => {
      const { admission_code } = ticket;
      await api("DELETE", `admissions/${admission_code}`, undefined, STAFF);
      await page.getByLabel("Name or code").fill(admission_code);
      await page.getByLabel("Name or code").press("Enter");
      await page.getByText("Come in").waitFor();
      await api("DELETE", `admissions/${admission_code}`, undefined, STAFF);
    }],
    undo: [`door${address(showing)}`, (page) => page.getByRole("button", { name: /^Undo/ }).first().click()],
    gone: ["tickets/nobody-has-this", (page) => page.getByRole("heading", { name: "No ticket here" }).waitFor()],
    away: [address(showing), async (page) => {
      await seat(page, "B3").check();
      await page.route("**/seats?*", (route) => route.abort());
      await page.getByText("The box office is not responding.").waitFor();
    }],
    "door-key": ["door", (page) => page.getByLabel("Staff key").waitFor()],
    multiplex: ["multiplex", (page) => page.getByText("not on sale").waitFor()],
  };
  for (const [name, [where, act]] of Object.entries(pages)) {
    for (const width of [360, 1280]) {
      for (const dark of [false, true]) {
        await withPage(where, async (page) => {
          await act(page);
          await assertSound(page);
          const file = `page-${name}-${width}${dark ? "-dark" : ""}.png`;
          if (PICTURES && SHOWN.includes(name)) await page.screenshot({ path: path.join(PICTURES, file), fullPage: true });
        }, { width, dark, prepare: name === "door-key" ? undefined : withKey });
      }
    }
  }
});
