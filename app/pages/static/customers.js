// The page on which customers book: choose a day, a showing and a seat, say who you are, book.

import { ask, longDate, onSubmit, root, showRefusal, whileLookedAt } from "./api.js";
import { Choice } from "./choice.js";

const form = document.querySelector("form");
const button = form.querySelector("button");
const choice = new Choice(document.querySelector(".choice"), { changed: showChoice, opened: keepAddress });

function showChoice() {
  const { date, timing, seat } = choice;
  const [showing, place] = form.querySelector(".summary").children;
  form.hidden = !timing;
  showing.textContent = `${timing}, ${longDate(date)}`;
  place.textContent = seat ? `Seat ${seat}` : "No seat yet";
  if (!form.ariaBusy) button.textContent = seat ? `Book seat ${seat}` : "Choose a seat";
}

// The address bar says what is open, so that a link can be sent, and Back goes back.
function keepAddress() {
  const { date, timing } = choice;
  history.pushState(null, "", `?${new URLSearchParams(timing ? { date, timing } : { date })}`);
}

function openAddress() {
  return choice.open(Object.fromEntries(new URLSearchParams(location.search)));
}

onSubmit(form, async () => {
  const { date, timing, seat } = choice;
  showRefusal(form);
  if (!seat) return choice.focus();
  button.textContent = "Booking …";
  const { name, phone } = form.elements;
  const body = { name: name.value, phone: phone.value, date, timing, seat };
  const answer = await ask("POST", "tickets", { body, once: true });
  if (answer.ok) {
    location.assign(new URL(`tickets/${answer.body.ticket_id}`, root));
    return new Promise(() => {}); // the page goes; until then, a second click does nothing
  }
  if (answer.body.code === "seat_taken") choice.lose(seat);
  else showRefusal(form, answer.body);
  await choice.refresh();
});

addEventListener("popstate", openAddress);
await openAddress();
whileLookedAt(() => choice.refresh());
