// Choosing a day, a showing and a seat: what booking a ticket and changing one have in common.

import { ask, onSubmit, reason, showRefusal } from "./api.js";

export class Choice {
  /**
   * Bring the markup of choice.html to life, and the form in it that acts on what is chosen.
   *
   * `act` returns the words on the button for a choice; `send` sends the choice to the API and
   * returns the response, which `done` gets if it succeeds. `opened` is called when somebody opens
   * another day or showing. `mine` is the ticket to be changed: its seat counts as free.
   */
  constructor(element, { act, send, done, opened = () => {}, mine = null }) {
    Object.assign(this, { act, mine, date: null, timing: null, seat: null, sending: false });
    this.days = element.querySelectorAll(".days a");
    this.showings = element.querySelector(".showings");
    this.house = element.querySelector(".house");
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
    this.seats.addEventListener("change", (event) => {
      this.seat = Number(event.target.value);
      this.note.textContent = "";
      this.showChoice();
    });
    onSubmit(this.form, async () => {
      const { seat } = this;
      showRefusal(this.form);
      if (!seat) return this.focus();
      this.sending = true;
      this.showChoice();
      const answer = await send(this);
      if (answer.ok) await done(answer.body);
      this.sending = false;
      if (answer.body.code === "seat_taken") this.lose(seat);
      else if (!answer.ok) showRefusal(this.form, answer.body);
      await this.refresh();
    });
  }

  /** Open a day (by default the first one with a showing ahead), and a showing of it. */
  async open({ date = null, timing = null, seat = null }) {
    Object.assign(this, { date, timing, seat });
    this.note.textContent = "";
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
    const [slots, slot] = await Promise.all([
      ask("GET", `?${new URLSearchParams({ date: this.date })}`, { signal }),
      this.timing && ask("GET", `seats?${new URLSearchParams({ date: this.date, timing: this.timing })}`, { signal }),
    ]);
    if (signal.aborted) return;
    const refused = [slot, slots].find((answer) => answer?.ok === false);
    this.showings.querySelector(".refusal").textContent = refused ? reason(refused.body) : "";
    for (const day of this.days) day.ariaCurrent = day === this.day() ? "date" : null;
    this.showShowings(slots.ok ? slots.body : []);
    this.house.hidden = this.form.hidden = !slot?.ok;
    if (slot?.ok) this.showSeats(slot.body);
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

  showSeats(slot) {
    const free = new Set(slot.free_seats);
    const mine = this.isMine(slot) ? this.mine.seat : null;
    if (mine) free.add(mine);
    if (this.seat && !free.has(this.seat) && !this.sending) this.lose(this.seat);
    else if (free.size === 0) this.note.textContent = "This showing is sold out.";
    else if (!slot.bookable && slot.available > 0) this.note.textContent = "This showing has started.";
    this.house.querySelector("h2").textContent = `${this.when()}\u00a0· choose a seat`;
    rowsFor(this.seats, slot.capacity, this.house.querySelector("template")).forEach((label, index) => {
      const seat = index + 1;
      const [input, text] = label.children;
      const state = seat === mine ? "yours" : free.has(seat) ? "free" : "taken";
      input.value = text.textContent = seat;
      input.disabled = state === "taken";
      input.checked = seat === this.seat;
      input.ariaLabel = `Seat ${seat}, ${state}`;
      label.dataset.state = state;
    });
    if (document.activeElement.matches(".seats :disabled")) this.focus();
  }

  showChoice() {
    const [showing, seat] = this.form.querySelector(".summary").children;
    showing.textContent = this.when();
    seat.textContent = this.seat ? `Seat ${this.seat}` : "No seat yet";
    const words = this.sending ? "One moment …" : this.seat ? this.act(this) : "Choose a seat";
    this.form.querySelector("button").textContent = words;
  }

  /** Give up a seat that somebody else has taken, and say so. */
  lose(seat) {
    if (this.seat === seat) this.seat = null;
    this.note.textContent = `Seat ${seat} has just been taken. Please choose another.`;
    this.house.scrollIntoView({ block: "nearest" });
  }

  /** Scroll to the seats of the showing that `link` has opened, and move the focus there with it. */
  goToSeats(link) {
    this.house.scrollIntoView({ block: "nearest" });
    if (document.activeElement === link) this.house.querySelector("h2").focus({ preventScroll: true });
  }

  /** Focus the first free seat. */
  focus() {
    this.seats.querySelector("input:enabled")?.focus();
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
}

/** Return the children of `list`, as many as wanted; they stay, so the keyboard keeps its place. */
export function rowsFor(list, number, template) {
  while (list.children.length > number) list.lastElementChild.remove();
  while (list.children.length < number) list.append(template.content.cloneNode(true));
  return [...list.children];
}
