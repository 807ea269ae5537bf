// The door: who may come in, by scanned or typed code, by camera, or by name.

import { ask, clock, longDate, onSubmit, reason, seatsInWords, when, whileLookedAt } from "./api.js";

const by = (id) => document.getElementById(id);
const [verdict, showings, code, list] = ["verdict", "showing", "code", "tickets"].map(by);
const today = by("door").dataset.today;
const address = new URLSearchParams(location.search);
let date = address.get("date") ?? today;
let showing = ["movie", "timing"].find((name) => address.has(name)); // by its movie or its timing
let tickets = [];
const LATE = 30 * 60_000; // ms

// ---- The staff key, asked for where one is set, and kept for this tab.

let asking = null;

async function askStaff(method, path, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem("staff-key");
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    const answer = await ask(method, path, { ...options, headers });
    if (answer.status !== 401) return answer;
    await (asking ??= askForKey(key ? answer.body.detail : ""));
  }
}

function askForKey(detail) {
  by("door").hidden = true;
  by("key-form").hidden = false;
  by("key-error").textContent = detail;
  by("staff-key").focus();
  return new Promise((resume) => {
    by("key-form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem("staff-key", by("staff-key").value);
      by("key-form").hidden = true;
      asking = null;
      resume();
    };
  });
}

// ---- The showing that this door is for, and its tickets.

async function openDoor() {
  const { ok, body } = await ask("GET", `?date=${showing.date}`);
  if (!ok && !showing.timing && showing.date !== today) {
    showing.date = today; // and not whatever the address says
    return openDoor();
  }
  const slots = ok ? body : [];
  // Unless the staff say otherwise, the next showing, or the last one for those who come late.
  const next = slots.find((slot) => Date.parse(slot.showing_at) > Date.now() - LATE);
  showing.timing ??= (next ?? slots.at(-1))?.timing;
  keepAddress();
  const timings = new Set([...slots.map((slot) => slot.timing), showing.timing]);
  showings.replaceChildren(...Array.from(timings, (timing) => new Option(timing, timing, false, timing === showing.timing)));
  by("day").textContent = showing.date === today ? "Today" : longDate(showing.date);
  await whileLookedAt(refresh);
  if (matchMedia("(pointer: fine)").matches) code.focus();
}

// A reload keeps the showing; a bookmark opens the same timing on the current day.
function keepAddress() {
  const { date, timing } = showing;
  history.replaceState(null, "", `?${new URLSearchParams(date === today ? { timing } : { date, timing })}`);
}

async function refresh() {
  const { date, timing } = showing;
  const { ok, body } = await askStaff("GET", `tickets?${new URLSearchParams({ timing, date })}`);
  by("door").hidden = showings.hidden = false;
  if (timing !== showing.timing) return;
  if (!ok) return say("no", reason(body));
  tickets = body;
  showTickets();
}

showings.addEventListener("change", () => {
  showing = { ...showing, timing: showings.value };
  keepAddress();
  say("", "", READY);
  return refresh();
});

function showTickets() {
  const inside = tickets.filter((ticket) => ticket.admitted_at).length;
  by("booked").textContent = tickets.length;
  by("in").textContent = inside;
  by("out").textContent = tickets.length - inside;
  const found = matching();
  const nobody = tickets.length ? "Nobody by that name. Press Enter to look it up as a code." : "Nobody has booked yet.";
  by("found").textContent = found.length ? "" : nobody;
  rowsFor(list, found.length, by("row")).forEach((row, number) => {
    const ticket = found[number];
    const [seat, name, state, button] = row.children;
    seat.textContent = ticket.seat;
    name.textContent = ticket.name;
    state.textContent = ticket.admitted_at ? `in ${clock(ticket.admitted_at)}` : "";
    button.textContent = ticket.admitted_at ? "Undo" : "Admit";
    button.ariaLabel = `${button.textContent} ${ticket.name}, seat ${ticket.seat}`;
    button.onclick = () => (ticket.admitted_at ? askToUndo(ticket) : admit(ticket.admission_code));
  });
}

function matching() {
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();
  return tickets.filter((ticket) => plain(ticket.name).includes(plain(code.value)));
}

// ---- Admission.

const READY = "Scan or type a code, or find a name in the list.";
const NO = {
  already_admitted: (problem) => `Already in, ${clock(problem.admitted_at)}`,
  other_showing: ({ ticket }) => `Ticket for ${when(ticket.showing_at, showing.date)}`,
  admission_not_open: (problem) => `Doors open at ${when(problem.opens_at, today)}`,
  ticket_expired: () => "Expired",
  ticket_not_found: () => "No such ticket",
};
const waiting = new Set();
let turn = Promise.resolve();

/** Admit one code after the other, so that each verdict is about the person in front. */
function admit(scanned) {
  const admission_code = scanned.toUpperCase().replace(/[\s-]/g, "");
  // Scanned again out of impatience, it would be told that it is already in.
  if (waiting.has(admission_code)) return turn;
  waiting.add(admission_code);
  // A bug in one admission does not stop the next.
  turn = turn.catch(() => {}).then(async () => {
    const body = { admission_code, ...showing };
    const { ok, body: answer } = await askStaff("POST", "admissions", { body, once: true });
    waiting.delete(admission_code);
    if (ok) say("yes", "Come in", whose(answer));
    else say("no", NO[answer.code]?.(answer) ?? reason(answer), whose(answer.ticket));
    await refresh();
  });
  return turn;
}

function whose(ticket) {
  return ticket ? `${ticket.name} · seat ${ticket.seat}` : "";
}

function say(kind, words, more = "") {
  const [word, rest] = verdict.querySelector("p").children;
  verdict.className = kind;
  word.textContent = words;
  rest.textContent = more;
}

document.addEventListener("trouble", () => waiting.size && say("wait", "No response, trying again"));
code.addEventListener("input", showTickets);
onSubmit(by("scan"), async () => {
  const text = code.value.trim();
  if (!text) return;
  if (matching().length) return list.querySelector("button").focus(); // it was a name
  code.value = "";
  showTickets();
  admit(text);
});

// ---- Undo, in two steps.

function askToUndo(ticket) {
  by("undo-title").textContent = `Was ${ticket.name} admitted by mistake?`;
  by("undo").showModal();
  by("undo-yes").onclick = async () => {
    by("undo").close();
    const { ok, body } = await askStaff("DELETE", `admissions/${ticket.admission_code}`);
    say(ok ? "wait" : "no", ok ? "Admission undone" : reason(body), whose(ticket));
    await refresh();
  };
}
by("undo-no").addEventListener("click", () => by("undo").close());

// ---- The camera, where the browser can read codes.

by("camera").hidden = !("BarcodeDetector" in window && navigator.mediaDevices);
by("camera").addEventListener("click", async () => {
  const view = by("view");
  const on = view.hidden;
  try {
    if (on) view.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    return say("no", `The camera cannot be used: ${error.message}`);
  }
  view.hidden = !on;
  by("camera").ariaPressed = String(on);
  if (on) await watch(view);
  else for (const track of view.srcObject.getTracks()) track.stop();
});

async function watch(view) {
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  await view.play();
  let last = null;
  let seen = 0;
  while (!view.hidden) {
    const [found] = await detector.detect(view).catch(() => []);
    // A code that stays in view is one scan.
    if (found && found.rawValue !== last) admit((last = found.rawValue));
    if (found) seen = Date.now();
    else if (Date.now() - seen > 2000) last = null;
    await new Promise((resume) => setTimeout(resume, 200));
  }
}

say("", "", READY);
await openDoor();
