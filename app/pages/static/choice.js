// Choosing a day, a showing and seats: what booking a ticket and changing one have in common.

import { ask, onSubmit, reason, seatsInWords, showRefusal } from "./api.js";

export class Choice {
  /**
   * Bring the markup of choice.html to life, and the form in it that acts on what is chosen.
   *
   * `act` returns the words on the button for a choice; `send` sends the choice to the API and
   * returns the response, which `done` gets if it succeeds. `opened` is called when somebody opens
   * another day or showing. `mine` is the ticket to be changed: its seats count as free.
   */
  constructor(element, { act, send, done, opened = () => {}, mine = null }) {
    Object.assign(this, { act, mine, date: null, timing: null, slot: null, chosen: [], sending: false });
    this.days = element.querySelectorAll(".days a");
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
    this.people?.addEventListener("input", () => {
      this.chosen = this.chosen.slice(-this.party);
      this.showSeats();
      this.showChoice();
    });
    this.people?.addEventListener("change", () => (this.people.value = this.party));
    this.seats.addEventListener("change", ({ target }) => {
      const others = this.chosen.filter((seat) => seat !== Number(target.value));
      // One seat too many replaces the one that was chosen first.
      this.chosen = target.checked ? [...others, Number(target.value)].slice(-this.party) : others;
      this.note.textContent = "";
      this.showSeats();
      this.showChoice();
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
      if (answer.body.code === "seat_taken") this.lose(new Set([...answer.body.free_seats, ...this.own]));
      else if (!answer.ok) showRefusal(this.form, answer.body);
      await this.refresh();
    });
  }

  /** How many people the seats are for. */
  get party() {
    if (this.mine) return this.mine.seats.length;
    return Math.min(Math.max(Math.trunc(this.people.valueAsNumber) || 1, 1), this.slot?.capacity ?? 1);
  }

  /** How many seats are still to be chosen; without a choice, the service finds the best. */
  get missing() {
    return this.chosen.length || this.isMine(this) ? this.party - this.chosen.length : 0;
  }

  /** The seats of the ticket to be changed, if they are in this showing. */
  get own() {
    return this.isMine(this) ? this.mine.seats : [];
  }

  /** The chosen seats, as a request names them; empty without a choice. */
  get wanted() {
    if (!this.chosen.length) return {};
    return this.party > 1 ? { seats: this.chosen } : { seat: this.chosen[0] };
  }

  /** Open a day (by default the first one with a showing ahead), and a showing of it. */
  async open({ date = null, timing = null, seats = [] }) {
    Object.assign(this, { date, timing, chosen: seats });
    this.note.textContent = "";
    this.seats.disabled = true; // until those of this showing are there
    await this.refresh();
    this.day()?.scrollIntoView({ block: "nearest", inline: "center" });
  }

  /** Look up again how many seats are free, and which. */
  async refresh() {
    this.asking?.abort();
    const { signal } = (this.asking = new AbortController());
    if (!this.date) {
      const next = await ask("GET", "", { signal });
      if (signal.aborted) return;
      this.date = next.body.map((slot) => slot.date).sort()[0];
    }
    const { date, timing } = this;
    const movie = this.mine?.movie; // its ticket only ever changes its day and its seats
    const showing = movie ? { date, movie } : timing && { date, timing };
    const [slots, slot] = await Promise.all([
      !movie && ask("GET", `?${new URLSearchParams({ date })}`, { signal }),
      showing && ask("GET", `seats?${new URLSearchParams(showing)}`, { signal }),
    ]);
    if (signal.aborted) return;
    const refused = [slot, slots].find((answer) => answer?.ok === false);
    this.showings.querySelector(".refusal").textContent = refused ? reason(refused.body) : "";
    for (const day of this.days) day.ariaCurrent = day === this.day() ? "date" : null;
    this.showShowings(slots?.ok ? slots.body : []);
    this.house.hidden = this.form.hidden = !slot?.ok;
    if (!slot?.ok) return;
    this.slot = slot.body;
    this.timing = this.slot.timing;
    this.seats.disabled = false;
    this.lookAgain();
    this.showSeats();
    this.showChoice();
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

  /** Say what has changed for the worse since the last look. */
  lookAgain() {
    const { bookable, available, showing_at } = this.slot;
    const free = this.free();
    if (!this.sending && this.lose(free)) return;
    if (free.size === 0) this.note.textContent = "This showing is sold out.";
    else if (!bookable && available > 0)
      this.note.textContent = Date.parse(showing_at) > Date.now() ? "Not on sale." : "This showing has started.";
  }

  showSeats() {
    const { capacity, seats_per_row } = this.slot;
    const free = this.free();
    const type = this.party > 1 ? "checkbox" : "radio";
    if (this.people) this.people.max = capacity;
    this.house.querySelector("h2").textContent = `${this.when()}\u00a0· choose ${this.party > 1 ? "seats" : "a seat"}`;
    this.seats.style.setProperty("--columns", Math.min(seats_per_row, capacity));
    rowsFor(this.seats, capacity, this.house.querySelector("template")).forEach((place, index) => {
      const seat = index + 1;
      const [input, text] = place.children;
      const label = this.label(seat);
      const [row, number] = label.match(/\D+|\d+/g);
      const state = this.own.includes(seat) ? "yours" : free.has(seat) ? "free" : "taken";
      Object.assign(input, { type, value: seat, disabled: state === "taken", checked: this.chosen.includes(seat) });
      input.ariaLabel = `${label}, ${state}`;
      text.textContent = number;
      place.dataset.state = state;
      if (number === "1") place.dataset.row = row;
      else delete place.dataset.row;
    });
    if (document.activeElement.matches(".seats :disabled")) this.focus();
  }

  showChoice() {
    const { party, chosen, missing } = this;
    const [showing, seats] = this.form.querySelector(".summary").children;
    const best = `best seat${party > 1 ? "s" : ""}`;
    showing.textContent = this.when();
    if (chosen.length) seats.textContent = this.inWords("Seat");
    else seats.textContent = this.mine ? `The same or the ${best}` : `The ${best}`;
    const more = chosen.length ? " more" : "";
    const choose = missing > 1 ? `Choose ${missing}${more} seats` : `Choose ${more ? "one more" : "a"} seat`;
    const words = missing ? choose : this.act(this);
    this.form.querySelector("button").textContent = this.sending ? "One moment…" : words;
  }

  /** Give up the chosen seats that are not free, and say so; return whether there were any. */
  lose(free) {
    const lost = this.chosen.filter((seat) => !free.has(seat));
    if (!lost.length) return false;
    const [have, others] = lost.length > 1 ? ["have", "others"] : ["has", "another"];
    this.chosen = this.chosen.filter((seat) => free.has(seat));
    this.note.textContent = `${this.inWords("Seat", lost)} ${have} just been taken. Please choose ${others}.`;
    this.house.scrollIntoView({ block: "nearest" });
    return true;
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

  free() {
    return new Set([...this.slot.free_seats, ...this.own]);
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
export function rowsFor(list, number, template) {
  while (list.children.length > number) list.lastElementChild.remove();
  while (list.children.length < number) list.append(template.content.cloneNode(true));
  return [...list.children];
}
