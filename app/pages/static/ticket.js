// A ticket's own page: see it, print it, change its showing or seats, cancel it.

import { ask, askForPage, clock, longDate, onSubmit, phoneHeader, root, say, seatsInWords, showRefusal, when, whileVisible } from "./api.js";
import { Choice } from "./choice.js";

const by = (id) => document.getElementById(id);
const id = location.pathname.split("/").filter(Boolean).at(-1);
const article = document.querySelector("article");
const parts = { change: by("changing"), cancel: by("cancelling") }; // by the buttons that unfold them
let ticket = null;

async function refresh() {
  if (!by("gone").hidden) return;
  const { ok, body } = await ask("GET", `tickets/${id}`);
  if (ok) await show(body);
  else end("No ticket here", body.detail);
  if (!parts.change.hidden) await choice.refresh();
}

async function show(current) {
  ticket = choice.mine = current;
  // When its doors open is in the page: the service knows the theatre's clocks, also when they change.
  const { dataset } = article;
  if (Date.parse(dataset.showingAt) !== Date.parse(ticket.showing_at))
    Object.assign(dataset, (await askForPage())?.querySelector("article").dataset ?? { opensAt: "" });
  const film = ticket.title ?? (ticket.movie && `Movie ${ticket.movie}`);
  const texts = {
    h1: `${ticket.timing} · ${seatsInWords(ticket.labels, "Seat")}`,
    "#play": [film, ticket.screen && `screen ${ticket.screen}`].filter(Boolean).join(" · "),
    "#date": longDate(ticket.date),
    "#holder": ticket.name,
    "#number": ticket.phone,
    "#opens": dataset.opensAt && when(dataset.opensAt, ticket.date),
    figcaption: ticket.admission_code.match(/.{4}/g).join(" "),
  };
  for (const [place, text] of Object.entries(texts)) article.querySelector(place).textContent = text;
  for (const fact of article.querySelectorAll("dl > div")) fact.hidden = !fact.lastElementChild.textContent;
  for (const each of parts.cancel.querySelectorAll("[for], input")) each.hidden = !ticket.phone;
  const image = article.querySelector("img");
  image.getAttribute("src") ?? (image.src = new URL(`tickets/${id}/qr.svg`, root));
  article.hidden = false;
  const people = ticket.seats.length;
  if (ticket.admitted === people) close(`Admitted at ${clock(ticket.admitted_at)}. Enjoy the show.`);
  else if (ticket.admitted) close(`Admitted: ${ticket.admitted} of ${people}. The others can still be admitted.`);
  else if (ticket.expired) close("This ticket has expired.");
}

/** Say why the ticket can no longer be changed, in place of the buttons. */
function close(reason) {
  say(by("status"), reason);
  article.querySelector(".actions").hidden = true;
  unfold(null);
}

/** Replace the ticket by the reason why there is none. */
function end(title, reason) {
  close("");
  article.hidden = true;
  by("gone").hidden = false;
  const [heading, text] = by("gone").children;
  heading.textContent = title;
  text.textContent = reason;
  heading.focus();
}

/** Unfold what one of the buttons opens, and fold the other; return whether it is open now. */
function unfold(name) {
  for (const [each, part] of Object.entries(parts)) {
    part.hidden = each !== name || !part.hidden;
    by(each).ariaExpanded = String(!part.hidden);
  }
  return name && !parts[name].hidden;
}

const choice = new Choice(parts.change, {
  act({ date, timing, own, chosen }) {
    if (chosen.length && chosen.every((seat) => own.includes(seat)))
      return own.length > 1 ? "These are already your seats" : "This is already your seat";
    if (own.length) return `Change to ${choice.inWords("seat")}`;
    const showing = date === ticket.date ? timing : choice.when();
    return `Move to ${showing}${chosen.length ? `, ${choice.inWords("seat")}` : ""}`;
  },
  send({ date, timing, chosen, wanted }) {
    const body = { date, ...(ticket.movie ? {} : { timing }), ...(chosen.length ? wanted : {}) };
    const headers = ticket.phone ? phoneHeader(ticket.phone) : {};
    return ask("PATCH", `tickets/${id}`, { body, headers });
  },
  async done(moved) {
    await show(moved);
    unfold(null);
    by("status").textContent = `Moved to ${longDate(moved.date)}, ${moved.timing}, ${seatsInWords(moved.labels)}.`;
    scrollTo(0, 0);
    by("change").focus();
  },
});

by("change").addEventListener("click", async () => {
  if (!unfold("change")) return;
  by("status").textContent = "";
  showRefusal(choice.form);
  await choice.open(ticket);
  parts.change.scrollIntoView();
});

by("cancel").addEventListener("click", () => unfold("cancel") && parts.cancel.querySelector(":enabled:not([hidden])").focus());
by("keep").addEventListener("click", () => {
  unfold(null);
  by("cancel").focus();
});
onSubmit(parts.cancel, async () => {
  const headers = ticket.phone ? phoneHeader(by("phone").value) : {};
  const { ok, status, body } = await ask("DELETE", `tickets/${id}`, { headers });
  // Not found: an earlier attempt had deleted it, and its response was lost.
  if (ok || status === 404) end("Ticket cancelled", "Its seats are on sale again.");
  else showRefusal(parts.cancel, body);
});

by("print").addEventListener("click", () => print());
whileVisible(refresh);
