// The page on which customers book: choose a day, a showing and a seat, say who you are, book.

import { ask, root, whileLookedAt } from "./api.js";
import { Choice } from "./choice.js";

const { name, phone } = document.querySelector("form").elements;

const choice = new Choice(document.querySelector(".choice"), {
  act: ({ seat }) => `Book seat ${seat}`,
  send({ date, timing, seat }) {
    const body = { name: name.value, phone: phone.value, date, timing, seat };
    return ask("POST", "tickets", { body, once: true });
  },
  done({ ticket_id }) {
    location.assign(new URL(`tickets/${ticket_id}`, root));
    // Until this page goes, a second click does nothing.
    return new Promise((resume) => addEventListener("pagehide", resume, { once: true }));
  },
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
whileLookedAt(() => choice.refresh());
