"use strict";

const COLOUR = { particle: "#2fe0c0", none: "#ff9a62", suggested: "#ffe14d" };
const ANY_SCORE = 0.5; // until the server suggests one
const [SMALLEST, LARGEST] = [2, 1000]; // diameters, voxels

// A label as the server sends it.
const labelOf = ([id, x, y, z, kind]) => ({ id, x, y, z, kind });
const placeOf = ({ x, y, z }) => ({ x, y, z });
const away = (one, other) => Math.hypot(one.x - other.x, one.y - other.y, one.z - other.z);

// Whether a place is near one of many: they lie in cubes as wide as `reach`.
class Near {
  #cubes = new Map();

  constructor(places, reach) {
    this.reach = reach;
    for (const place of places) {
      const key = this.#key(place, 0, 0, 0);
      const cube = this.#cubes.get(key);
      if (cube) cube.push(place);
      else this.#cubes.set(key, [place]);
    }
  }

  #key({ x, y, z }, right, up, back) {
    const number = (value, more) => Math.floor(value / this.reach) + more + 1;
    return (number(x, right) * 65536 + number(y, up)) * 65536 + number(z, back);
  }

  has(place) {
    for (const right of [-1, 0, 1]) {
      for (const up of [-1, 0, 1]) {
        for (const back of [-1, 0, 1]) {
          const cube = this.#cubes.get(this.#key(place, right, up, back));
          if (cube?.some((own) => away(own, place) < this.reach)) return true;
        }
      }
    }
    return false;
  }
}

// What the page knows and what is chosen on it. Suggestions are {x, y, z, score}, labels {id, x, y, z, kind}.
//
// Events: "state" (anything the server says), "tomogram" (another one is shown), "labels", "suggestions" (those of the
// tomogram that is shown, or the score above which they count), "selected" (a label or a suggestion, or nothing),
// "said" (detail: a sentence for people).
class Session extends EventTarget {
  state = null;
  index = 0; // of the tomogram that is shown
  labels = [];
  suggestions = []; // best first
  diameter = 0; // while it is being changed, ahead of the server's
  kind = 1; // what a click means
  memory = new Memory("milopyp-view");
  #selected = null;
  #score = null; // where a person has put it
  #shown = { revision: null, tomogram: null, version: 0 };
  #spheres = null;
  #open = null;
  #resizing = 0; // a timer, while the server has not been told of a new diameter

  constructor(link) {
    super();
    this.link = link;
    link.addEventListener("state", (event) => this.#take(event.detail));
  }

  get own() {
    return this.state.tomograms[this.index];
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }

  say(text) {
    this.dispatchEvent(new CustomEvent("said", { detail: text }));
  }

  // ---- what the server says

  #take(state) {
    if (!this.state) this.#remember(state);
    else if (state.model !== this.state.model) this.#moveScore(null, state.model); // scores of another source
    this.state = state;
    this.index = Math.min(this.index, state.tomograms.length - 1);
    if (!this.#resizing) this.diameter = state.diameter;
    this.tell("state");
    const { revision, tomogram, version } = this.#shown;
    if (tomogram !== this.index) return this.show(this.index);
    if (revision !== state.revision) this.#takeLabels();
    if (version !== this.own.suggestions) this.#takeSuggestions();
  }

  // What was looked at before a reload.
  #remember({ out, model, tomograms }) {
    this.memory.of(out);
    const found = tomograms.findIndex(({ name }) => name === this.memory.get("tomogram"));
    this.index = Math.max(found, 0);
    const { value, source } = this.memory.get("score") ?? {};
    if (source === model) this.#score = value ?? null;
  }

  show(index) {
    this.index = index;
    this.memory.set("tomogram", this.own.name);
    this.#shown.tomogram = index;
    this.suggestions = [];
    this.#selected = null;
    this.tell("tomogram");
    this.#takeLabels();
    this.#takeSuggestions();
  }

  #takeLabels() {
    this.#shown.revision = this.state.revision;
    this.labels = this.own.labels.map(labelOf);
    const { id } = this.#selected ?? {};
    this.#changed("labels");
    if (id !== undefined) this.select(this.labels.find((label) => label.id === id) ?? null);
    this.#close();
  }

  async #takeSuggestions() {
    const { index } = this;
    const wanted = this.own.suggestions;
    this.#shown.version = wanted;
    let picks = [];
    try {
      if (wanted) ({ picks } = await this.link.json(`/api/suggestions?tomogram=${index}`));
    } catch {
      this.#shown.version = -1; // asked for again with the next state
      return;
    }
    if (index !== this.index || wanted !== this.#shown.version) return;
    this.suggestions = picks.map(([x, y, z, score]) => ({ x, y, z, score }));
    this.#changed("suggestions");
  }

  #changed(name) {
    this.#spheres = null;
    if (name !== "selected") this.#open = null;
    this.tell(name);
  }

  // ---- what is chosen

  get score() {
    return this.#score ?? this.own.score ?? ANY_SCORE;
  }

  // Null: the one that is suggested.
  set score(value) {
    this.#moveScore(value === null ? null : Math.min(Math.max(value, 0.02), 1), this.state.model);
    this.#spheres = null;
    this.tell("suggestions");
  }

  #moveScore(value, source) {
    this.#score = value;
    this.memory.set("score", { value, source });
  }

  // Null unless a person has moved it.
  get chosenScore() {
    return this.#score;
  }

  // How far a suggestion is from being decided.
  doubt({ score }) {
    return Math.abs(score - this.score);
  }

  get selected() {
    return this.#selected;
  }

  // The suggestion that is being asked about, if one is.
  get doubted() {
    return this.#selected?.score === undefined ? null : this.#selected;
  }

  // Of a suggestion that has become a label, the label.
  select(thing) {
    this.#selected = (thing?.score !== undefined && this.#labelAt(thing)) || thing;
    this.#changed("selected");
  }

  // The label that answers for a place.
  #labelAt(place) {
    const near = this.labels.filter((label) => away(label, place) < this.diameter / 2);
    return near.sort((one, other) => away(one, place) - away(other, place))[0] ?? null;
  }

  // A question is over as soon as a label stands there, whoever has set it.
  #close() {
    if (this.doubted && this.#labelAt(this.doubted)) this.select(null);
  }

  // Suggestions where no label is, whether the server knows of it yet or not.
  get open() {
    if (this.#open) return this.#open;
    const settled = new Near(this.labels, this.diameter / 2);
    return (this.#open = this.suggestions.filter((one) => !settled.has(one)));
  }

  // ---- changes

  async edit(body, said) {
    if (this.#resizing) this.#resized();
    try {
      const answer = await this.link.edit(body);
      if (said) this.say(said(answer));
      return answer;
    } catch (error) {
      this.say(`Not done: ${error.message}`);
      this.diameter = this.state.diameter; // all is as it was
      this.#takeLabels();
      return null;
    }
  }

  async add({ x, y, z }, kind, snap) {
    const [made] = this.#made([{ x, y, z }], kind);
    const what = kind ? "label" : "“no particle”";
    const answer = await this.edit(
      { do: "add", tomogram: this.index, xyz: [x, y, z], kind, snap },
      ({ id, snapped }) => `${what} ${id} added${snapped ? `, snapped by ${snapped.toFixed(1)} voxels` : ""}`,
    );
    this.#known(made, answer && this.labels.find(({ id }) => id === answer.id));
    return answer;
  }

  // Labels that are seen at once, while the server is being told. A single one is selected.
  #made(places, kind) {
    const made = places.map(({ x, y, z }) => ({ id: undefined, x, y, z, kind }));
    this.labels.push(...made);
    this.#changed("labels");
    if (made.length === 1) this.select(made[0]);
    else this.#close();
    return made;
  }

  // The server has given it a number: it stays selected, unless something else has been selected since.
  #known(made, label) {
    if (this.#selected === made) this.select(label ?? null);
  }

  move(label, { x, y, z }, snap) {
    Object.assign(label, { x, y, z });
    this.#changed("labels");
    return this.edit({ do: "move", id: label.id, xyz: [x, y, z], snap }, ({ snapped }) =>
      `label ${label.id} moved${snapped ? `, snapped by ${snapped.toFixed(1)} voxels` : ""}`);
  }

  remove({ id }) {
    return this.edit({ do: "remove", id }, () => `label ${id} removed`);
  }

  // Suggestions become labels of a kind.
  async settle(suggestions, kind) {
    const places = suggestions.map(({ x, y, z }) => [x, y, z]);
    const [made] = this.#made(suggestions, kind);
    const many = places.length === 1 ? "suggestion" : `${places.length} suggestions`;
    const what = kind ? "accepted" : "marked as no particle";
    const answer = await this.edit({ do: kind ? "accept" : "reject", tomogram: this.index, places }, () => `${many} ${what}`);
    this.#known(made, answer && this.#labelAt(made));
  }

  setKind({ id }, kind) {
    return this.edit({ do: "kind", id, kind }, () => `label ${id} is ${kind ? "a particle" : "no particle"}`);
  }

  // The circles follow at once, the server when the size has not changed for a while.
  resize(diameter) {
    this.diameter = Math.min(Math.max(Math.round(diameter * 2) / 2, SMALLEST), LARGEST);
    this.#changed("labels");
    clearTimeout(this.#resizing);
    this.#resizing = setTimeout(() => this.#resized(), 350);
  }

  #resized() {
    clearTimeout(this.#resizing);
    this.#resizing = 0;
    const { diameter } = this;
    if (diameter === this.state.diameter) return;
    this.edit({ do: "diameter", diameter }, () => `diameter ${diameter} voxels`);
  }

  // ---- what the viewer draws

  get spheres() {
    if (this.#spheres) return this.#spheres;
    const radius = this.diameter / 2;
    const chosen = this.#selected;
    const made = [];
    const { score } = this;
    const shown = this.open.filter((one) => one.score > score);
    if (this.doubted && !shown.includes(chosen)) shown.push(chosen);
    for (const one of shown) {
      const { x, y, z } = one;
      made.push({ x, y, z, radius, colour: COLOUR.suggested, dashed: true, wide: one === chosen, of: one });
    }
    for (const label of this.labels) {
      const { id, x, y, z, kind } = label;
      const own = label === chosen;
      const look = kind ? { colour: COLOUR.particle } : { colour: COLOUR.none, mark: "cross" };
      const ruler = own && id !== undefined;
      made.push({ id, x, y, z, radius, ...look, dashed: false, wide: own, ruler, of: label });
    }
    return (this.#spheres = made);
  }
}
