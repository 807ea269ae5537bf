// The page on which customers book: choose a day, a showing and seats, say who you are, book.

import { ask, goToTicket, sameKey, whileVisible } from "./api.js";
import { Choice } from "./choice.js";

const { name, phone } = document.querySelector("form").elements;

const choice = new Choice(document.querySelector(".choice"), {
  act({ party, chosen }) {
    if (chosen.length) return `Book ${choice.inWords("seat")}`;
    return party > 1 ? `Book the best ${party} seats` : "Book the best seat";
  },
  send({ date, timing, party, chosen, wanted }) {
    const seats = chosen.length ? wanted : { amount: party };
    const body = { name: name.value, phone: phone.value, date, timing, ...seats };
    return ask("POST", "tickets", { body, once: sameKey(body) });
  },
  done: goToTicket,
  // The address bar says what is open, so that a link can be sent, and Back goes back.
  opened({ date, timing }) {
    history.pushState(null, "", `?${new URLSearchParams(timing ? { date, timing } : { date })}`);
  },
});

function openAddress() {
  const { date, timing } = Object.fromEntries(new URLSearchParams(location.search));
  return choice.open({ date, timing });
}

addEventListener("popstate", openAddress);
await openAddress();
whileVisible(() => choice.refresh());
