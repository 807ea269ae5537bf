// What all pages share: asking the API until it responds, the theatre's day and clock, refusals, and times as text.

export const root = new URL("../", import.meta.url); // wherever a proxy has put the service

const MAX_WAIT = 15_000; // ms; the service gives up on its database sooner
const MAX_PAUSE = 60; // s; a browser's timer overflows after 24 days, and then does not wait at all
const trouble = document.getElementById("trouble");

/**
 * Ask the API until it responds, and return {ok, status, body}.
 *
 * While the service or its database is away, a line at the top says so. `once` makes a repeated
 * request happen once; it is true, or a key from `sameKey`. Returns undefined when `signal` aborts.
 */
export async function ask(method, path, { body, headers, once = false, signal } = {}) {
  const options = { method, headers: { ...headers } };
  if (body) options.body = JSON.stringify(body);
  if (once) options.headers["Idempotency-Key"] = once === true ? newKey() : once;
  while (!signal?.aborted) {
    const answer = await attempt(path, options, signal);
    if (signal?.aborted) return undefined;
    // After a bug, only requests that change nothing are repeated.
    const away = answer?.status === 429 || answer?.status > 500 || (answer?.status === 500 && method === "GET");
    if (answer && !away) {
      say(trouble, "");
      return answer;
    }
    say(trouble, `${answer?.body?.detail ?? "The box office is not responding."} Trying again…`);
    document.dispatchEvent(new Event("trouble"));
    await new Promise((resume) => setTimeout(resume, 1000 * Math.min(answer?.wait || 2, MAX_PAUSE)));
  }
}

async function attempt(path, options, signal) {
  // AbortSignal.any is missing before Safari 17.4.
  const limit = new AbortController();
  const abort = () => limit.abort();
  const timer = setTimeout(abort, MAX_WAIT);
  signal?.addEventListener("abort", abort);
  try {
    const response = await fetch(new URL(path, root), { ...options, signal: limit.signal });
    const { ok, status } = response;
    ahead = Date.parse(response.headers.get("Date")) - Date.now() || 0;
    const json = response.headers.get("Content-Type")?.includes("json");
    // A failure without JSON comes from a proxy.
    if (!json && !ok) return { status: 502 };
    return { ok, status, body: json ? await response.json() : null, wait: Number(response.headers.get("Retry-After")) };
  } catch {
    return undefined; // no response, or not a whole one
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

let ahead = 0; // ms by which the service's clock is ahead of this device's, which may be wrong

/** Return the current instant by the service's clock, in ms since 1970. */
export function now() {
  return Date.now() + ahead;
}

/** Load this page again and return it, or undefined when the service does not respond. */
export async function askForPage() {
  const response = await fetch(location, { headers: { Accept: "text/html" } }).catch(() => undefined);
  return response?.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : undefined;
}

/** Call `renew` with the new page when a new day has begun at the theatre. */
export function onNewDay(renew) {
  const { dataset } = document.documentElement; // `today`, and when it ends
  return whileVisible(async () => {
    if (now() < Date.parse(dataset.midnight)) return;
    const page = await askForPage();
    if (!page) return;
    Object.assign(dataset, page.documentElement.dataset);
    renew(page);
  });
}

// crypto.randomUUID is missing where there is no TLS.
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (number) => number.toString(36)).join("-");
}

let intention = {};

/** Return the same key for the same request until the visitor enters something or comes back. */
export function sameKey(body) {
  const request = JSON.stringify(body);
  if (intention.request !== request) intention = { request, key: newKey() };
  return intention.key;
}

for (const change of ["input", "pageshow"]) addEventListener(change, () => (intention = {}));

/** Set the text of an element only if it differs: a screen reader reads out each change. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Run `action` at once, every few seconds while the page is visible, and when it is visible again. */
export function whileVisible(action, seconds = 4) {
  let running = false;
  async function run() {
    if (document.hidden || running) return;
    running = true;
    await action().finally(() => (running = false));
  }
  setInterval(run, seconds * 1000);
  document.addEventListener("visibilitychange", run);
  return run();
}

/** Return the text of an API problem. */
export function reason({ errors, detail = "", seats_left = 0 }) {
  if (errors) return Object.values(errors).flat().join(" ");
  return seats_left ? `${detail} ${seats_left} left.` : detail;
}

/** Show a problem in the API's own text: next to the fields it names, and the rest below the form. */
export function showRefusal(form, problem = {}) {
  const others = { ...problem.errors }; // those without a place next to their field
  for (const input of form.querySelectorAll("input[aria-describedby]")) {
    const messages = others[input.name] ?? [];
    delete others[input.name];
    say(document.getElementById(input.getAttribute("aria-describedby")), messages.join(" "));
    input.ariaInvalid = messages.length ? "true" : null;
  }
  say(form.querySelector(".refusal[role=alert]"), reason(problem.errors ? { errors: others } : problem));
  form.querySelector("[aria-invalid=true]")?.focus();
}

/** Call `action` when a form is submitted, but not again before it has ended. */
export function onSubmit(form, action) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.ariaBusy) return;
    form.ariaBusy = "true";
    await action().finally(() => (form.ariaBusy = null));
  });
}

/** Open the page of a ticket; the promise lasts until then, so a second click does nothing. */
export function goToTicket({ ticket_id }) {
  location.assign(new URL(`tickets/${ticket_id}`, root));
  return new Promise((resume) => addEventListener("pagehide", resume, { once: true }));
}

/** Return the headers with which the owner of a ticket changes it. */
export function phoneHeader(phone) {
  // A header takes bytes only, and the service reads them as UTF-8.
  return { "Ticket-Phone": String.fromCharCode(...new TextEncoder().encode(phone)) };
}

/** Write a word and the labels of seats, with neighbours as a range: "seats B2–B5, C1". */
export function seatsInWords(labels, word = "seat") {
  return `${word}${labels.length > 1 ? "s" : ""} ${inRuns(labels)}`;
}

export function inRuns(labels) {
  const runs = [];
  for (const label of labels) {
    const next = label.replace(/\d+/, (number) => Number(number) + 1);
    if (runs.at(-1)?.next === label) Object.assign(runs.at(-1), { last: label, next });
    else runs.push({ first: label, last: label, next });
  }
  return runs.map(({ first, last }) => (first === last ? first : `${first}–${last}`)).join(", ");
}

/** Write a date such as 2026-11-25 for people. */
export function longDate(date) {
  const options = { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" };
  return new Date(date).toLocaleDateString("en-GB", options).replace(",", "");
}

/** Write the time of an instant (ISO 8601), as clocks show it in the zone that it is written in. */
export function clock(instant) {
  return instant.slice(11, 16);
}

/** Write the time of an instant, and its date unless it is `day`. */
export function when(instant, day) {
  return instant.startsWith(day) ? clock(instant) : `${longDate(instant.slice(0, 10))}, ${clock(instant)}`;
}
