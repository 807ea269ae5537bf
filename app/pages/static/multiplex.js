// What plays at the multiplex, how many seats are left, and buying some.

import { ask, goToTicket, longDate, onSubmit, sameKey, say, showRefusal, whileVisible } from "./api.js";

const list = document.getElementById("movies");
const template = document.getElementById("movie");

async function refresh() {
  const { body: movies } = await ask("GET", "api/movies");
  say(document.getElementById("status"), movies.length ? "" : "Nothing is playing yet.");
  for (const row of [...list.children]) if (!movies.some(({ movie }) => row.id === `movie-${movie}`)) row.remove();
  for (const movie of movies) show(movie);
}

function show(movie) {
  const row = document.getElementById(`movie-${movie.movie}`) ?? add(movie.movie);
  const left = movie.free_seats === 0 ? "sold out" : `${movie.free_seats} left`;
  row.querySelector("h2").textContent = movie.title ?? `Movie ${movie.movie}`;
  row.querySelector(".quiet").textContent = `${longDate(movie.date)}, ${movie.showtime} · screen ${movie.screen}`;
  row.querySelector(".left").textContent = movie.on_sale ? left : "not on sale";
  row.querySelector(".bar").style.setProperty("--filled", movie.purchased_seats / movie.seats);
  row.querySelector("form").hidden = !movie.on_sale;
  row.date = movie.date;
}

function add(number) {
  list.append(template.content.cloneNode(true));
  const row = list.lastElementChild;
  const form = row.querySelector("form");
  row.id = `movie-${number}`;
  form.querySelector("button").ariaLabel = `Buy tickets for movie ${number}`;
  onSubmit(form, async () => {
    showRefusal(form);
    const { valueAsNumber: amount } = form.elements.amount;
    if (Number.isNaN(amount)) return showRefusal(form, { detail: "Enter how many tickets you want." });
    const body = { movie: number, amount, date: row.date };
    const { ok, body: bought } = await ask("POST", "api/tickets", { body, once: sameKey(body) });
    if (ok) return goToTicket(bought);
    showRefusal(form, bought);
    await refresh();
  });
  return row;
}

whileVisible(refresh);
