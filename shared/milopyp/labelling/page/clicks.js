"use strict";

// The list of labels: one line each, the newest first, reached by the keyboard. Only the lines that are seen exist.
class Clicks {
  static HIGH = 24; // CSS pixels of a line

  // seek(label): show its place.
  constructor(session, seek) {
    Object.assign(this, { session, seek, list: element("labels"), count: element("label-count") });
    this.room = document.createElement("div");
    this.list.append(this.room);
    session.addEventListener("labels", () => this.#write());
    session.addEventListener("selected", () => this.#selected());
    this.list.addEventListener("scroll", () => this.#lines());
    this.list.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("click", (event) => {
      const line = event.target.closest("[role=option]");
      if (line) this.#choose(Number(line.dataset.at));
    });
    new ResizeObserver(() => this.#lines()).observe(this.list);
  }

  // Newest first.
  #label(at) {
    const { labels } = this.session;
    return labels[labels.length - 1 - at];
  }

  get #chosen() {
    const { labels, selected } = this.session;
    const at = selected?.id === undefined ? -1 : labels.findIndex(({ id }) => id === selected.id);
    return at < 0 ? -1 : labels.length - 1 - at;
  }

  #write() {
    const { labels } = this.session;
    const particles = labels.filter(({ kind }) => kind).length;
    const none = labels.length - particles;
    this.count.textContent = labels.length ? `${particles}${none ? ` · ${none} none` : ""}` : "";
    this.room.style.height = `${labels.length * Clicks.HIGH}px`;
    this.#lines();
  }

  #selected() {
    const at = this.#chosen;
    if (at >= 0) {
      const [top, high] = [at * Clicks.HIGH, this.list.clientHeight];
      if (top < this.list.scrollTop) this.list.scrollTop = top;
      if (top + Clicks.HIGH > this.list.scrollTop + high) this.list.scrollTop = top + Clicks.HIGH - high;
    }
    this.#lines();
  }

  #lines() {
    const { length } = this.session.labels;
    const first = Math.max(Math.floor(this.list.scrollTop / Clicks.HIGH) - 2, 0);
    const last = Math.min(first + Math.ceil(this.list.clientHeight / Clicks.HIGH) + 4, length);
    const chosen = this.#chosen;
    const lines = [];
    for (let at = first; at < last; at += 1) lines.push(this.#line(at, at === chosen, length));
    this.room.replaceChildren(...lines);
    const active = chosen >= first && chosen < last ? `label-at-${chosen}` : "";
    this.list.setAttribute("aria-activedescendant", active);
  }

  #line(at, chosen, length) {
    const { id, x, y, z, kind, species } = this.#label(at);
    const { several, classes } = this.session;
    const line = document.createElement("div");
    line.id = `label-at-${at}`;
    line.className = kind ? "particle" : "none";
    line.dataset.at = at;
    line.style.top = `${at * Clicks.HIGH}px`;
    const facts = { role: "option", "aria-selected": chosen, "aria-setsize": length, "aria-posinset": at + 1 };
    for (const [name, value] of Object.entries(facts)) line.setAttribute(name, value);
    const place = [x, y, z].map((value) => value.toFixed(0)).join("  ");
    const what = several ? classes[species].name : "particle";
    line.setAttribute("aria-label", `label ${id ?? "new"}, ${kind ? what : `no ${what}`}, at ${place}`);
    if (several) line.style.setProperty("--of", classes[species].colour);
    for (const text of [`${kind ? "○" : "⊗"}${several ? ` ${species + 1}` : ""}`, id ?? "…", place]) {
      line.append(Object.assign(document.createElement("span"), { textContent: text }));
    }
    return line;
  }

  #choose(at) {
    const { length } = this.session.labels;
    if (!length) return;
    const label = this.#label(Math.min(Math.max(at, 0), length - 1));
    this.session.select(label);
    this.seek(label);
  }

  #key(event) {
    const page = Math.max(Math.floor(this.list.clientHeight / Clicks.HIGH) - 1, 1);
    const ways = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in ways)) return;
    event.preventDefault();
    event.stopPropagation();
    this.#choose(Math.max(this.#chosen, ways[event.key] > 0 ? -1 : 0) + ways[event.key]);
  }
}
