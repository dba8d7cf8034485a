"use strict";

// Close-ups of many suggestions, to be accepted or rejected. A page of them stays as it is while they are answered,
// although the suggestions change with every answer.
class Gallery {
  static SHOWN = 60;
  #page = []; // {one: suggestion, tile}
  #seen = new Set();
  #number = 0;

  constructor(session, seek) {
    Object.assign(this, { session, seek, whole: element("gallery"), tiles: element("gallery").querySelector(".tiles") });
    const click = (id, act) => element(id).addEventListener("click", act);
    click("gallery-open", () => this.toggle());
    click("gallery-close", () => this.close());
    click("gallery-more", () => this.#fill());
    click("gallery-accept", () => this.#settle(this.#likely, 1));
    element("gallery-order").addEventListener("change", () => this.#restart());
    for (const name of ["labels", "suggestions"]) session.addEventListener(name, () => this.#mark());
    session.addEventListener("tomogram", () => this.close());
    session.addEventListener("species", () => this.isOpen && this.#restart());
    this.whole.addEventListener("keydown", (event) => this.#key(event));
  }

  get isOpen() {
    return !this.whole.hidden;
  }

  toggle() {
    if (this.isOpen) return this.close();
    if (!this.session.open.length) return this.session.say("No suggestions yet");
    this.whole.hidden = false;
    element("gallery-open").setAttribute("aria-expanded", "true");
    this.#restart().then(() => this.#page[0]?.tile.focus());
  }

  close() {
    if (!this.isOpen) return;
    this.whole.hidden = true;
    element("gallery-open").setAttribute("aria-expanded", "false");
    element("xy").focus({ preventScroll: true });
  }

  #restart() {
    const { session } = this;
    const name = session.several ? ` of ${session.classes[session.species].name}` : "";
    this.whole.querySelector("h2").textContent = `Suggestions${name}`;
    this.#seen.clear();
    this.#page = []; // of other suggestions, or another tomogram
    this.tiles.replaceChildren();
    this.#mark();
    return this.#fill();
  }

  // The next page in the order that is chosen.
  async #fill() {
    const number = ++this.#number;
    const { session } = this;
    const left = session.open.filter((one) => !this.#seen.has(numbersOf(one)));
    const order = element("gallery-order").value;
    if (order === "doubtful") left.sort((one, other) => session.doubt(one) - session.doubt(other));
    if (order === "weakest") left.splice(0, left.length, ...left.filter(({ score }) => score > session.score).reverse());
    const chosen = left.slice(0, Gallery.SHOWN);
    let pictures;
    try {
      pictures = await closeUps(session, chosen);
    } catch (error) {
      return session.say(`No close-ups: ${error.message}`);
    }
    if (number !== this.#number) return;
    for (const one of chosen) this.#seen.add(numbersOf(one));
    this.#page = chosen.map((one, at) => ({ one, picture: pictures[at], tile: this.#tile(one), drawn: 0 }));
    this.tiles.replaceChildren(...this.#page.map(({ tile }) => tile));
    this.tiles.scrollTop = 0;
    element("gallery-more").disabled = left.length <= chosen.length;
    this.#mark();
  }

  #tile(one) {
    const tile = document.createElement("div");
    tile.className = "tile";
    tile.tabIndex = 0;
    tile.setAttribute("role", "group");
    const canvas = document.createElement("canvas");
    const score = Object.assign(document.createElement("span"), { className: "of", textContent: one.score.toFixed(2) });
    const button = (className, text, name, kind) => {
      const made = Object.assign(document.createElement("button"), { className, type: "button", textContent: text });
      made.tabIndex = -1; // the tile has the focus, and keys for both
      made.setAttribute("aria-label", name);
      made.addEventListener("click", () => this.#settle([one], kind));
      return made;
    };
    canvas.addEventListener("click", () => this.#look(one));
    tile.append(canvas, button("yes", "✓", "Accept", 1), score, button("no", "✕", "No particle", 0));
    return tile;
  }

  // The labels say which ones have been answered, so that undoing is seen.
  #mark() {
    if (!this.isOpen) return;
    const { labels, diameter, score, species } = this.session;
    const speaking = labels.filter((label) => speaksOf(label, species));
    for (const own of this.#page) {
      const { one, tile, picture } = own;
      if (own.drawn !== diameter) drawCloseUp(tile.querySelector("canvas"), picture, this.session);
      own.drawn = diameter;
      tile.classList.toggle("below", one.score <= score);
      const label = speaking.findLast((each) => away(each, one) < diameter / 4);
      tile.dataset.is = label ? (label.kind && label.species === species ? "particle" : "none") : "";
      const answer = { particle: "accepted", none: "no particle", "": "not answered" }[tile.dataset.is];
      tile.setAttribute("aria-label", `suggestion with score ${one.score.toFixed(2)}, ${answer}`);
    }
    const { length } = this.#likely;
    element("gallery-accept").textContent = `Accept the ${length === 1 ? "one" : length} above ${score.toFixed(2)}`;
    element("gallery-accept").hidden = !length;
  }

  get #likely() {
    return this.#unanswered.filter(({ score }) => score > this.session.score);
  }

  get #unanswered() {
    return this.#page.filter(({ tile }) => !tile.dataset.is).map(({ one }) => one);
  }

  #settle(ones, kind) {
    const open = new Set(this.#unanswered);
    const wanted = ones.filter((one) => open.has(one));
    if (wanted.length) return this.session.settle(wanted, kind);
    return this.session.say("Already answered; undo takes it back");
  }

  #look(one) {
    this.close();
    this.session.select(one);
    this.seek(one);
  }

  #key(event) {
    const at = this.#page.findIndex(({ tile }) => tile === event.target);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const columns = getComputedStyle(this.tiles).gridTemplateColumns.split(" ").length;
    const ways = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    const { one } = this.#page[at];
    const answers = { y: 1, n: 0 };
    if (event.key in ways) this.#page[at + ways[event.key]]?.tile.focus();
    else if (event.key in answers) {
      this.#settle([one], answers[event.key]);
      this.#page[at + 1]?.tile.focus();
    } else if (event.key === "Enter") this.#look(one);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
