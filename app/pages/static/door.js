// The door: who may come in, by scanned or typed code, by camera, or by name.

import { ask, clock, inRuns, longDate, now, onNewDay, onSubmit, reason, say as write, seatsInWords, when, whileVisible } from "./api.js";

const by = (id) => document.getElementById(id);
const [verdict, showings, code, list] = ["verdict", "showing", "code", "tickets"].map(by);
const address = new URLSearchParams(location.search);
let date = address.get("date") ?? today();
let play = playedIn(address);
let tickets = [];
const LATE = 30 * 60_000; // ms

// ---- The staff key, asked for where one is set, and kept for this tab.

let asking = null;
let staffKey = stored();

/** Return the key that this tab has kept; storage may be blocked, which throws. */
function stored() {
  try {
    return sessionStorage.getItem("staff-key");
  } catch {
    return null;
  }
}

function keep(key) {
  staffKey = key;
  try {
    sessionStorage.setItem("staff-key", key);
  } catch {} // it is asked for again after a reload
}

async function askStaff(method, path, options = {}) {
  for (;;) {
    const key = staffKey;
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
      keep(by("staff-key").value);
      by("key-form").hidden = true;
      asking = null;
      resume();
    };
  });
}

// ---- The showing that this door is for, and its tickets.

const query = (fields) => String(new URLSearchParams(fields));

function today() {
  return document.documentElement.dataset.today;
}

function dayAfter(day) {
  return new Date(Date.parse(day) + 24 * 3600_000).toISOString().slice(0, 10);
}

/** Return what plays at this door: the timing or the movie that a query names, if any. */
function playedIn(search) {
  const [movie, timing] = [Number(search.get("movie")), search.get("timing")];
  return movie ? { movie } : timing ? { timing } : null;
}

async function openDoor() {
  const ofDay = await showingsOf(date);
  if (!ofDay && date !== today() && !(play && Date.parse(date))) {
    date = today(); // the one in the address cannot be used
    return openDoor();
  }
  // The doors of the next day may open before midnight.
  const later = (await showingsOf(dayAfter(date))) ?? [];
  const all = [...(ofDay ?? []), ...later.filter(isOpen)];
  // Unless the staff say otherwise, the next showing, or the last one for those who come late.
  const slots = all.filter(({ timing }) => timing);
  const next = slots.find((slot) => Date.parse(slot.showing_at) > now() - LATE) ?? slots.at(-1);
  if (!play && next) ({ date } = next);
  play ??= { timing: next?.timing };
  const options = new Map(all.map((each) => [query(at(each)), inWords(each)]));
  const shown = query({ date, ...play });
  if (!options.has(shown)) options.set(shown, play.timing ?? `Movie ${play.movie}`);
  showings.replaceChildren(...Array.from(options, ([value, text]) => new Option(text, value)));
  showings.value = shown;
  showDay();
}

/** Return what plays on a day, in the timetable and at the multiplex; undefined if it is not on sale. */
async function showingsOf(day) {
  const answers = await Promise.all([ask("GET", `?${query({ date: day })}`), ask("GET", `api/movies?${query({ date: day })}`)]);
  return answers[0].ok ? answers.flatMap(({ ok, body }) => (ok ? body : [])) : undefined;
}

function isOpen({ showing_at }) {
  return now() >= Date.parse(showing_at) - 1000 * by("door").dataset.openBefore;
}

function at({ date, movie, timing }) {
  return movie ? { date, movie } : { date, timing };
}

function inWords(each) {
  const { movie, title, screen } = each;
  const film = movie ? ` ${title ?? `Movie ${movie}`}, screen ${screen}` : "";
  return `${each.timing ?? each.showtime}${film}${each.date === date ? "" : ` (${longDate(each.date)})`}`;
}

/** Say which day this door is for, here and in the address: a reload keeps it, and a bookmark is for its current day. */
function showDay() {
  by("day").textContent = date === today() ? "Today" : longDate(date);
  history.replaceState(null, "", `?${query(date === today() ? play : { date, ...play })}`);
}

async function refresh() {
  const asked = play;
  const { ok, body } = await askStaff("GET", `tickets?${query({ ...play, date })}`);
  by("door").hidden = showings.hidden = false;
  if (asked !== play) return;
  if (!ok) return say("no", reason(body));
  tickets = body;
  showTickets();
}

showings.addEventListener("change", () => {
  list.replaceChildren();
  const chosen = new URLSearchParams(showings.value);
  date = chosen.get("date");
  play = playedIn(chosen);
  showDay();
  say("", "", READY);
  return refresh();
});

function showTickets() {
  const people = (count) => tickets.reduce((sum, ticket) => sum + count(ticket), 0);
  by("booked").textContent = people(({ seats }) => seats.length);
  by("in").textContent = people(({ admitted }) => admitted);
  by("out").textContent = people(({ seats, admitted }) => seats.length - admitted);
  const found = matching();
  const nobody = tickets.length ? "No matching name. Press Enter to try it as a code." : "Nobody has booked yet.";
  write(by("found"), found.length ? "" : nobody);
  // A row stays with its ticket, and new ones come last, so that what is pressed is what was aimed at.
  const codes = new Set(found.map((ticket) => ticket.admission_code));
  for (const row of [...list.children]) if (!codes.has(row.dataset.code)) row.remove();
  for (const ticket of found) {
    const old = list.querySelector(`[data-code="${ticket.admission_code}"]`);
    showTicket(old ?? list.appendChild(by("row").content.firstElementChild.cloneNode(true)), ticket);
  }
}

function showTicket(row, ticket) {
  const [seats, name, controls] = row.children;
  const [state, only, button, undo] = controls.children;
  const { admission_code, labels, admitted } = ticket;
  const left = labels.length - admitted;
  row.dataset.code = admission_code;
  seats.textContent = inRuns(labels);
  name.textContent = ticket.name ?? "No name";
  if (!admitted) state.textContent = "";
  else state.textContent = left ? `${admitted} of ${labels.length} in` : `in ${clock(ticket.admitted_at)}`;
  only.hidden = left < 2;
  if (only.length !== left) {
    const chosen = only.value;
    only.replaceChildren(new Option(`all ${left}`, ""));
    for (let few = left - 1; few > 0; few--) only.add(new Option(`only ${few}`, few));
    if (chosen < left) only.value = chosen;
  }
  button.textContent = left ? "Admit" : "Undo";
  button.onclick = () => {
    if (!left) return askToUndo(ticket);
    admit(admission_code, Number(only.value));
    only.value = "";
  };
  undo.hidden = !admitted || !left;
  undo.onclick = () => askToUndo(ticket);
  const who = `${name.textContent}, ${seatsInWords(labels)}`;
  only.ariaLabel = `How many: ${who}`;
  for (const each of [button, undo]) each.ariaLabel = `${each.textContent} ${who}`;
}

// Letters that do not decompose, and the apostrophes and dashes of phones, as keyboards have them.
const PLAIN = { ß: "ss", æ: "ae", œ: "oe", ø: "o", đ: "d", ð: "d", ħ: "h", ı: "i", ł: "l", ŧ: "t", þ: "th", ŋ: "n", ə: "e" };

function plain(text) {
  // Before the letters are decomposed, which would make a space of ´.
  const marks = text.replace(/[‘’‛ʹʻʼ´`′]/g, "'").replace(/[\p{Pd}−]/gu, "-").replace(/\p{Cf}/gu, "").replace(/\s+/g, " ");
  const letters = marks.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();
  return letters.replace(/[ßæœøđðħıłŧþŋə]/g, (letter) => PLAIN[letter]);
}

function matching() {
  return tickets.filter((ticket) => plain(ticket.name ?? "").includes(plain(code.value)));
}

// ---- Admission.

const READY = "Scan or type a code, or find a name in the list.";
const NO = {
  already_admitted: ({ admitted_at, people_left }) => (people_left ? `Only ${people_left} not yet in` : `Already in, ${clock(admitted_at)}`),
  other_showing: ({ ticket }) => `Ticket for ${[when(ticket.showing_at, date), ticket.title].filter(Boolean).join(", ")}`,
  admission_not_open: (problem) => `Doors open at ${when(problem.opens_at, today())}`,
  ticket_expired: () => "Expired",
  ticket_not_found: () => "No such ticket",
};
const waiting = new Set();
let turn = Promise.resolve();

/**
 * Admit one code after the other, so that each verdict is about the people in front.
 *
 * Without `people`, everyone of the ticket who is not in yet.
 */
function admit(scanned, people) {
  const admission_code = scanned.toUpperCase().replace(/[\s-]/g, "");
  // An impatient second scan would be refused: its people are already in.
  if (waiting.has(admission_code)) return turn;
  waiting.add(admission_code);
  // A bug in one admission does not stop the next.
  turn = turn.catch(() => {}).then(async () => {
    const body = { admission_code, ...(people ? { people } : {}), ...play, date };
    const { ok, body: answer } = await askStaff("POST", "admissions", { body, once: true });
    waiting.delete(admission_code);
    if (ok) say("yes", "Come in", whose(answer));
    else say("no", NO[answer.code]?.(answer) ?? reason(answer), whose(answer.ticket));
    await refresh();
  });
  return turn;
}

function whose(ticket) {
  if (!ticket) return "";
  const { name, labels, admitted } = ticket;
  const party = labels.length > 1 ? `${admitted} of ${labels.length} in` : "";
  return [name, seatsInWords(labels), party].filter(Boolean).join(" · ");
}

function say(kind, words, more = "") {
  const [word, rest] = verdict.querySelector("p").children;
  verdict.className = kind;
  word.textContent = words;
  rest.textContent = more;
}

document.addEventListener("trouble", () => waiting.size && say("wait", "No response. Trying again…"));
code.addEventListener("input", () => {
  if (!waiting.size) say("", "", READY); // the last verdict is not about the next in line
  list.replaceChildren();
  showTickets();
});
onSubmit(by("scan"), async () => {
  const text = code.value.trim();
  if (!text) return;
  if (matching().length) return list.querySelector("button").focus(); // it was a name
  code.value = "";
  list.replaceChildren();
  showTickets();
  admit(scannedIn(text) ?? text);
});

/** Return the admission code at the end of a text, if there is one: a scan may follow a name. */
function scannedIn(text) {
  return text.replace(/[\s-]/g, "").match(/[0-9A-Z]{12}$/i)?.[0];
}

// A scanner types, wherever the focus is. It must neither press a button nor change what is chosen.
addEventListener("keydown", (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  if (by("door").hidden || ctrlKey || metaKey || altKey) return;
  if (target === code) {
    if (key !== "Tab" || !scannedIn(code.value) || matching().length) return;
    event.preventDefault(); // the end of some scanners' scans
    by("scan").requestSubmit();
  } else if (/^[\w\]]$/.test(key)) {
    by("undo").close();
    code.focus();
    code.select(); // what is typed takes the place of what was there
  }
});

// ---- Undo, in two steps.

function askToUndo(ticket) {
  const { name, admitted, admission_code } = ticket;
  const remain = by("remain");
  by("undo-title").textContent = `Was ${name ?? "this ticket"} admitted by mistake?`;
  remain.replaceChildren(...Array.from({ length: admitted }, (_, people) => new Option(people || "nobody", people)));
  remain.parentElement.hidden = admitted < 2;
  by("undo").showModal();
  by("undo-yes").onclick = async () => {
    by("undo").close();
    const { ok, body } = await askStaff("PUT", `admissions/${admission_code}`, { body: { admitted: Number(remain.value) } });
    say(ok ? "wait" : "no", ok ? "Admission undone" : reason(body), whose(ok ? body : ticket));
    await refresh();
  };
}
by("undo-no").addEventListener("click", () => by("undo").close());

// ---- The camera, where the browser can read codes.

by("camera").hidden = !("BarcodeDetector" in window && navigator.mediaDevices);
by("camera").addEventListener("click", async () => {
  const view = by("view");
  const on = view.hidden;
  by("camera").disabled = true; // or a second tap would start another
  try {
    if (on) view.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    return say("no", `The camera is not available: ${error.message}`);
  } finally {
    by("camera").disabled = false;
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
onNewDay(openDoor);
await whileVisible(refresh);
if (matchMedia("(pointer: fine)").matches) code.focus();
