// Choosing a day, a showing and seats: what booking a ticket and changing one have in common.

import { ask, now, onNewDay, onSubmit, reason, say, seatsInWords, showRefusal } from "./api.js";

export class Choice {
  /**
   * Bring the markup of choice.html to life, and the form in it that acts on what is chosen.
   *
   * `act` returns the text of the button for a choice; `send` sends the choice to the API and
   * returns the response, which `done` gets if it succeeds. `opened` is called when somebody opens
   * another day or showing. `mine` is the ticket to be changed: its seats count as free.
   */
  constructor(element, { act, send, done, opened = () => {}, mine = null }) {
    Object.assign(this, { act, mine, date: null, timing: null, slot: null, chosen: [], own: [], sending: false });
    this.days = element.querySelector(".days").children;
    this.showings = element.querySelector(".showings");
    this.house = element.querySelector(".house");
    this.people = element.querySelector("#people");
    this.note = this.house.querySelector(".note");
    this.seats = this.house.querySelector(".seats");
    this.form = element.querySelector(".booking");
    element.addEventListener("click", (event) => {
      const link = event.target.closest("[data-date]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      if (link.role === "link") return; // nothing can be booked there
      const { date, timing } = link.dataset;
      this.open({ date, timing }).then(() => timing && this.goToSeats(link));
      opened(this);
    });
    this.people?.addEventListener("input", () => this.choose(this.chosen));
    this.people?.addEventListener("change", () => (this.people.value = this.party));
    this.seats.addEventListener("change", ({ target }) => {
      const others = this.chosen.filter((seat) => seat !== Number(target.value));
      this.choose(target.checked ? [...others, Number(target.value)] : others);
    });
    onNewDay((page) => {
      element.querySelector(".days").replaceChildren(...page.querySelector(".days").children);
      if (this.date < this.days[0].dataset.date) this.open({});
      else this.refresh();
    });
    onSubmit(this.form, async () => {
      if (this.seats.disabled) return;
      showRefusal(this.form);
      if (this.missing) return this.focus();
      this.sending = true;
      this.showChoice();
      const answer = await send(this);
      if (answer.ok) await done(answer.body);
      this.sending = false;
      if (answer.body.code === "seat_taken") this.showSeats({ ...this.slot, free_seats: answer.body.free_seats });
      else if (!answer.ok) showRefusal(this.form, answer.body);
      this.refresh(); // not awaited, so that the form can be sent again at once
    });
  }

  /** How many people the seats are for. */
  get party() {
    return this.mine?.seats.length ?? Math.min(Math.max(Math.trunc(this.people.value) || 1, 1), this.slot.capacity);
  }

  /** How many seats are still to be chosen; without a choice, the service finds the best. */
  get missing() {
    return this.chosen.length || this.own.length ? this.party - this.chosen.length : 0;
  }

  /** The chosen seats, as a request names them. */
  get wanted() {
    return this.party > 1 ? { seats: this.chosen } : { seat: this.chosen[0] };
  }

  /** Open a day, and a showing of it; by default, the next day on which that, or anything, can be booked. */
  async open({ date = null, timing = null, seats = [] }) {
    Object.assign(this, { date, timing, chosen: seats });
    say(this.note, "");
    this.seats.disabled = true; // until those of this showing are there
    await this.refresh();
    for (const part of [this.day(), this.seats.querySelector(":checked")])
      part?.scrollIntoView({ block: "nearest", inline: "center" });
  }

  /** Look up again how many seats are free, and which. */
  async refresh() {
    this.asking?.abort();
    const { signal } = (this.asking = new AbortController());
    if (!this.date) {
      const next = await ask("GET", "", { signal });
      if (signal.aborted) return;
      const named = next.body.filter((slot) => slot.timing === this.timing);
      this.date = (named.length ? named : next.body).map((slot) => slot.date).sort()[0];
    }
    const { date, timing } = this;
    const movie = this.mine?.movie; // here, a movie's ticket can change only its day and seats
    const showing = movie ? { date, movie } : timing && { date, timing };
    const [slots, slot] = await Promise.all([
      !movie && ask("GET", `?${new URLSearchParams({ date })}`, { signal }),
      showing && ask("GET", `seats?${new URLSearchParams(showing)}`, { signal }),
    ]);
    if (signal.aborted) return;
    const refused = [slot, slots].find((answer) => answer?.ok === false);
    say(this.showings.querySelector(".refusal"), refused ? reason(refused.body) : "");
    for (const day of this.days) day.ariaCurrent = day === this.day() ? "date" : null;
    this.showShowings(slots?.ok ? slots.body : []);
    this.showings.hidden = Boolean(movie && !refused);
    this.house.hidden = this.form.hidden = !slot?.ok;
    if (!slot?.ok) return;
    this.timing = slot.body.timing;
    this.seats.disabled = false;
    this.showSeats(slot.body);
  }

  showShowings(slots) {
    const rows = rowsFor(this.showings.querySelector("ol"), slots.length, this.showings.querySelector("template"));
    slots.forEach((slot, number) => {
      const link = rows[number].firstElementChild;
      const [time, bar, left] = link.children;
      const { date, timing, available } = slot;
      const open = slot.bookable || (this.isMine(slot) && available === 0);
      Object.assign(link.dataset, { date, timing });
      link.role = open ? null : "link";
      link.ariaDisabled = open ? null : "true";
      if (open) link.href = `?${new URLSearchParams({ date, timing })}`;
      else link.removeAttribute("href");
      link.ariaCurrent = timing === this.timing ? "true" : null;
      time.textContent = timing;
      bar.style.setProperty("--filled", 1 - available / slot.capacity);
      left.textContent = available === 0 ? "sold out" : slot.bookable ? `${available} left` : "started";
    });
  }

  /** Choose these seats; one too many replaces the one that was chosen first. */
  choose(seats) {
    this.chosen = seats.slice(-this.party);
    say(this.note, "");
    this.showSeats(this.slot);
  }

  showSeats(slot) {
    Object.assign(this, { slot, own: this.isMine(slot) ? this.mine.seats : [] });
    const { capacity, seats_per_row, available, bookable, showing_at } = slot;
    const free = new Set([...slot.free_seats, ...this.own]);
    const lost = this.sending ? [] : this.chosen.filter((seat) => !free.has(seat));
    if (lost.length) {
      this.chosen = this.chosen.filter((seat) => free.has(seat));
      say(this.note, `${this.inWords("Seat", lost)} ${lost.length > 1 ? "have" : "has"} just been taken. Please choose again.`);
      this.house.scrollIntoView({ block: "nearest" });
    } else if (free.size === 0) say(this.note, "This showing is sold out.");
    else if (!bookable && available > 0)
      say(this.note, Date.parse(showing_at) > now() ? "Not on sale." : "This showing has started.");
    const [type, what] = this.party > 1 ? ["checkbox", "seats"] : ["radio", "a seat"];
    this.house.querySelector("h2").textContent = `${this.when()}\u00a0· choose ${what}`;
    this.seats.classList.toggle("large", capacity > 40);
    this.seats.style.setProperty("--columns", Math.min(seats_per_row, capacity));
    rowsFor(this.seats, capacity, this.house.querySelector("template")).forEach((place, index) => {
      const seat = index + 1;
      const state = this.own.includes(seat) ? "yours" : free.has(seat) ? "free" : "taken";
      const checked = this.chosen.includes(seat);
      // With thousands of seats, drawing those that have not changed would stop the page at each look.
      const drawn = [type, state, checked, seats_per_row].join();
      if (place.drawn === drawn) return;
      place.drawn = drawn;
      const [input, text] = place.children;
      const label = this.label(seat);
      const [row, number] = label.match(/\D+|\d+/g);
      Object.assign(input, { type, value: seat, disabled: state === "taken", checked });
      input.ariaLabel = `${label}, ${state}`;
      text.textContent = number;
      place.dataset.state = state;
      if (number === "1") place.dataset.row = row;
      else delete place.dataset.row;
    });
    if (document.activeElement.matches(".seats :disabled")) this.focus();
    this.showChoice();
  }

  showChoice() {
    const { party, chosen, missing } = this;
    const [showing, seats] = this.form.querySelector(".summary").children;
    const best = `best seat${party > 1 ? "s" : ""}`;
    showing.textContent = this.when();
    if (chosen.length) seats.textContent = this.inWords("Seat");
    else seats.textContent = this.mine ? `The same or the ${best}` : `The ${best}`;
    const words = missing ? `Choose ${missing}${chosen.length ? " more" : ""} ${missing > 1 ? "seats" : "seat"}` : this.act(this);
    this.form.querySelector("button").textContent = this.sending ? "One moment…" : words;
  }

  /** Scroll to the seats of the showing that `link` has opened, and move the focus there with it. */
  goToSeats(link) {
    this.house.scrollIntoView({ block: "nearest" });
    if (document.activeElement === link) this.house.querySelector("h2").focus({ preventScroll: true });
  }

  /** Focus the first free seat. */
  focus() {
    this.seats.querySelector("input:enabled:not(:checked)")?.focus();
  }

  isMine({ date, timing }) {
    return this.mine?.date === date && this.mine?.timing === timing;
  }

  day() {
    return [...this.days].find((day) => day.dataset.date === this.date);
  }

  when() {
    const day = this.day()?.innerText.trim().replace(/\s+/g, " ") ?? this.date;
    return `${day}, ${this.timing}`;
  }

  /** Return the label of a seat: its row, which is AA after Z, and its number in the row. */
  label(seat) {
    const { seats_per_row: width } = this.slot;
    let letters = "";
    for (let row = Math.ceil(seat / width); row > 0; row = Math.floor((row - 1) / 26))
      letters = String.fromCharCode(65 + ((row - 1) % 26)) + letters;
    return `${letters}${((seat - 1) % width) + 1}`;
  }

  inWords(word, seats = this.chosen) {
    return seatsInWords(seats.toSorted((a, b) => a - b).map((seat) => this.label(seat)), word);
  }
}

/** Return the children of `list`, as many as wanted; they stay, so the keyboard keeps its place. */
function rowsFor(list, number, template) {
  while (list.children.length > number) list.lastElementChild.remove();
  const missing = Array.from({ length: number - list.children.length }, () => template.content.cloneNode(true));
  list.append(...missing);
  return [...list.children];
}
