// Choosing a day, a showing and a seat: what booking a ticket and changing one have in common.

import { ask, longDate } from "./api.js";

export class Choice {
  /**
   * Bring the markup of choice.html to life.
   *
   * `mine` is a ticket that is to be changed: its seat counts as free. `changed` is called whenever
   * what is chosen has changed, `opened` when somebody opens another day or showing.
   */
  constructor(element, { mine, changed, opened = () => {} }) {
    this.days = element.querySelectorAll(".days a");
    this.showings = element.querySelector(".showings");
    this.house = element.querySelector(".house");
    this.note = this.house.querySelector(".note");
    this.seats = this.house.querySelector(".seats");
    Object.assign(this, { mine, changed, date: null, timing: null, seat: null });
    element.addEventListener("click", (event) => {
      const link = event.target.closest("[data-date]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      if (link.role === "link") return; // nothing can be booked there
      this.open(link.dataset).then(() => link.dataset.timing && this.house.scrollIntoView({ block: "nearest" }));
      opened();
    });
    this.seats.addEventListener("change", (event) => {
      this.seat = Number(event.target.value);
      this.note.textContent = "";
      changed();
    });
  }

  /** Open a day (by default the first one with a showing ahead), and a showing of it. */
  async open({ date, timing, seat }) {
    Object.assign(this, { date: date ?? null, timing: timing ?? null, seat: seat ?? null });
    this.note.textContent = "";
    await this.refresh();
    for (const day of this.days) {
      if (day.ariaCurrent) day.scrollIntoView({ block: "nearest", inline: "center" });
    }
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
      ask("GET", `?date=${this.date}`, { signal }),
      this.timing && ask("GET", `seats?date=${this.date}&timing=${this.timing}`, { signal }),
    ]);
    if (signal.aborted) return;
    const errors = Object.values((slot ?? slots).body.errors ?? {}).flat();
    this.showings.querySelector(".refusal").textContent = errors.join(" ");
    this.showDays();
    this.showShowings(slots.ok ? slots.body : []);
    this.house.hidden = !slot?.ok;
    if (slot?.ok) this.showSeats(slot.body);
    this.changed();
  }

  showDays() {
    for (const day of this.days) day.ariaCurrent = day.dataset.date === this.date ? "date" : null;
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
      if (open) link.href = `?date=${date}&timing=${timing}`;
      else link.removeAttribute("href");
      link.ariaCurrent = timing === this.timing ? "true" : null;
      time.textContent = timing;
      bar.style.setProperty("--taken", 1 - available / slot.capacity);
      left.textContent = available === 0 ? "sold out" : slot.bookable ? `${available} left` : "started";
    });
  }

  showSeats({ date, timing, capacity, bookable, free_seats }) {
    const free = new Set(free_seats);
    const mine = this.isMine({ date, timing }) ? this.mine.seat : null;
    if (mine) free.add(mine);
    this.house.querySelector("h2").textContent = `${longDate(date)}, ${timing} · choose a seat`;
    if (this.seat && !free.has(this.seat)) this.lose(this.seat);
    else if (!bookable && free.size > 0 && !mine) this.note.textContent = "This showing has started.";
    else if (free.size === 0) this.note.textContent = "This showing is sold out.";
    const labels = rowsFor(this.seats, capacity, this.house.querySelector("template"));
    labels.forEach((label, index) => {
      const seat = index + 1;
      const [input, text] = label.children;
      const state = seat === mine ? "yours" : free.has(seat) ? "free" : "taken";
      input.value = text.textContent = seat;
      input.disabled = state === "taken";
      input.checked = seat === this.seat;
      input.ariaLabel = `Seat ${seat}, ${state}`;
    });
  }

  /** Give up a chosen seat that somebody else has taken, and say so. */
  lose(seat) {
    this.seat = null;
    this.note.textContent = `Seat ${seat} has just been taken. Please choose another.`;
    this.changed();
  }

  /** Bring the keyboard to what is missing. */
  focus() {
    const seats = this.seats.querySelectorAll("input:enabled");
    if (!this.house.hidden && seats.length) seats[0].focus();
    else this.showings.querySelector("a[href]")?.focus();
  }

  isMine({ date, timing }) {
    return this.mine?.date === date && this.mine?.timing === timing;
  }
}

/** Return the children of `list`, as many as wanted; they stay, so the keyboard keeps its place. */
function rowsFor(list, number, template) {
  while (list.children.length > number) list.lastElementChild.remove();
  while (list.children.length < number) list.append(template.content.cloneNode(true));
  return [...list.children];
}
