// A ticket's own page: see it, print it, change its showing or seat, cancel it.

import { ask, clock, longDate, onSubmit, root, showRefusal, whileLookedAt } from "./api.js";
import { Choice } from "./choice.js";

const id = location.pathname.split("/").filter(Boolean).at(-1);
const [article, changing, cancelling] = ["article", "#changing", "#cancelling"].map((name) => document.querySelector(name));
const [actions, changeForm] = [article.querySelector(".actions"), changing.querySelector("form")];
const said = document.getElementById("status");
const days = changing.querySelectorAll(".days a");
let ticket = null;
let choice = null;

async function refresh() {
  const { ok, body } = await ask("GET", `tickets/${id}`);
  if (ok) show(body);
  else end(ticket ? "This ticket has been cancelled." : body.detail);
  if (!changing.hidden) await choice.refresh();
}

function show(current) {
  ticket = current;
  const texts = {
    h1: `${ticket.timing} · Seat ${ticket.seat}`,
    "#date": longDate(ticket.date),
    "#holder": ticket.name,
    "#number": ticket.phone,
    "#opens": clock(ticket.showing_at, article.dataset.opensBefore),
    figcaption: ticket.admission_code.match(/.{4}/g).join(" "),
  };
  for (const [place, text] of Object.entries(texts)) article.querySelector(place).textContent = text;
  const code = new URL(`tickets/${id}/qr.svg`, root).href;
  const image = article.querySelector("img");
  if (image.src !== code) image.src = code;
  article.hidden = false;
  if (ticket.admitted_at) close(`Admitted at ${clock(ticket.admitted_at)}. Enjoy the show.`);
  else if (ticket.expired) close("This ticket has expired.");
}

/** Say why the ticket can no longer be changed, in place of the buttons. */
function close(reason) {
  if (said.textContent !== reason) said.textContent = reason;
  actions.hidden = true;
  unfold(null);
}

/** Say that there is no ticket, in place of it. */
function end(reason) {
  close(reason);
  article.hidden = true;
}

/** Open one of the two parts below the ticket, or none. */
function unfold(part) {
  for (const [each, name] of [[changing, "change"], [cancelling, "cancel"]]) {
    each.hidden = each !== part;
    document.getElementById(name).ariaExpanded = String(each === part);
  }
}

function showChoice() {
  const { date, timing, seat } = choice;
  const same = choice.isMine(choice) && seat === ticket.seat;
  const [showing, place] = changeForm.querySelector(".summary").children;
  changeForm.hidden = !timing;
  showing.textContent = `${timing}, ${longDate(date)}`;
  place.textContent = seat ? `Seat ${seat}` : "No seat yet";
  const button = changeForm.querySelector("button");
  button.textContent = same ? "This is your seat now" : seat ? `Move to ${timing}, seat ${seat}` : "Choose a seat";
}

document.getElementById("change").addEventListener("click", async () => {
  if (!changing.hidden) return unfold(null);
  unfold(changing);
  said.textContent = "";
  showRefusal(changeForm);
  choice ??= new Choice(changing, { changed: showChoice });
  choice.mine = ticket;
  await choice.open(ticket);
  days[0].closest("section").scrollIntoView({ block: "start" });
});

onSubmit(changeForm, async () => {
  const { date, timing, seat } = choice;
  showRefusal(changeForm);
  if (!seat) return choice.focus();
  const body = { ticket_id: id, phone: ticket.phone, timing_alter: timing, date, seat };
  const answer = await ask("POST", "update", { body });
  if (answer.ok) {
    show(answer.body);
    unfold(null);
    said.textContent = `Moved: ${timing}, ${longDate(date)}, seat ${seat}.`;
    scrollTo(0, 0);
    document.getElementById("change").focus();
  } else {
    if (answer.body.code === "seat_taken") choice.lose(seat);
    else showRefusal(changeForm, answer.body);
    await choice.refresh();
  }
});

document.getElementById("cancel").addEventListener("click", () => {
  if (!cancelling.hidden) return unfold(null);
  unfold(cancelling);
  cancelling.elements.phone.focus();
});

document.getElementById("keep").addEventListener("click", () => {
  unfold(null);
  document.getElementById("cancel").focus();
});

onSubmit(cancelling, async () => {
  const body = { ticket_id: id, phone: cancelling.elements.phone.value };
  const answer = await ask("POST", "delete", { body });
  // Not found: the answer to an earlier attempt was lost.
  if (answer.ok || answer.status === 404) end("This ticket has been cancelled.");
  else showRefusal(cancelling, answer.body);
});

document.getElementById("print").addEventListener("click", () => print());
whileLookedAt(refresh);
