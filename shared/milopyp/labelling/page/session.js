"use strict";

const ANY_SCORE = 0.5; // until the server suggests one
const [SMALLEST, LARGEST] = [2, 1000]; // diameters, voxels

// A label as the server sends it.
const labelOf = ([id, x, y, z, kind, species]) => ({ id, x, y, z, kind, species });

// What the page knows and what is chosen on it. Suggestions are {x, y, z, score, species}, labels {id, x, y, z, kind,
// species: the number of their class, from 0}. There is a class that clicks label, `species`: `open`, `score` and
// `diameter` are its.
//
// Events: "state" (anything the server says), "tomogram" (another one is shown), "labels", "suggestions" (those of the
// tomogram that is shown, or the score above which they count), "selected" (a label or a suggestion, or nothing),
// "species" (another class), "said" (detail: a sentence for people).
class Session extends EventTarget {
  state = null;
  index = 0; // of the tomogram that is shown
  labels = [];
  suggestions = []; // best first, of one class after the other
  diameters = []; // by class; while one is being changed, ahead of the server's
  kind = 1; // what a click means
  species = 0; // and of which class
  memory = new Memory("milopyp-view");
  #selected = null;
  #scores = []; // where a person has put them, by class
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
    else if (state.model !== this.state.model) this.#moveScores([], state.model); // scores of another source
    this.state = state;
    this.index = Math.min(this.index, state.tomograms.length - 1);
    if (!this.#resizing) this.diameters = state.classes.map(({ diameter }) => diameter);
    this.tell("state");
    const { revision, tomogram, version } = this.#shown;
    if (tomogram !== this.index) return this.show(this.index);
    if (revision !== state.revision) this.#takeLabels();
    if (version !== this.own.suggestions) this.#takeSuggestions();
  }

  // What was looked at before a reload.
  #remember({ out, model, tomograms, classes }) {
    this.memory.of(out);
    const found = tomograms.findIndex(({ name }) => name === this.memory.get("tomogram"));
    this.index = Math.max(found, 0);
    const { values, source } = this.memory.get("scores") ?? {};
    if (source === model) this.#scores = values ?? [];
    this.species = Math.min(this.memory.get("species") ?? 0, classes.length - 1);
  }

  // ---- classes

  get classes() {
    return this.state.classes;
  }

  // Whether classes have to be told apart.
  get several() {
    return this.state.classes.length > 1;
  }

  get diameter() {
    return this.diameters[this.species];
  }

  // How a class looks; a single one needs no line and no number of its own.
  look(species) {
    return this.several ? lookOf(species, this.classes[species].colour) : {};
  }

  choose(species) {
    if (species === this.species) return;
    if (this.#resizing) this.#resized();
    this.species = species;
    this.memory.set("species", species);
    if (this.doubted) this.select(null); // it was asked about another class
    this.tell("species");
    this.#changed("labels");
    this.#changed("suggestions");
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
    let classes = [];
    try {
      if (wanted) ({ classes } = await this.link.json(`/api/suggestions?tomogram=${index}`));
    } catch {
      this.#shown.version = -1; // asked for again with the next state
      return;
    }
    if (index !== this.index || wanted !== this.#shown.version) return;
    this.suggestions = classes.flatMap((picks, species) => picks.map(([x, y, z, score]) => ({ x, y, z, score, species })));
    this.#changed("suggestions");
  }

  #changed(name) {
    this.#spheres = null;
    if (name !== "selected") this.#open = null;
    this.tell(name);
  }

  // ---- what is chosen

  get score() {
    return this.scoreOf(this.species);
  }

  scoreOf(species) {
    return this.#scores[species] ?? this.own.scores[species] ?? ANY_SCORE;
  }

  // Null: the one that is suggested.
  set score(value) {
    const scores = this.chosenScores;
    scores[this.species] = value === null ? null : Math.min(Math.max(value, 0.02), 1);
    this.#moveScores(scores, this.state.model);
    this.#changed("suggestions"); // of two classes one may claim other places now
  }

  #moveScores(values, source) {
    this.#scores = values;
    this.memory.set("scores", { values, source });
  }

  // By class; null unless a person has moved it.
  get chosenScores() {
    return this.classes.map((_, species) => this.#scores[species] ?? null);
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

  // The label that answers for a suggestion.
  #labelAt(place) {
    const reach = this.diameters[place.species] / 2;
    const near = this.labels.filter((label) => speaksOf(label, place.species) && away(label, place) < reach);
    return near.sort((one, other) => away(one, place) - away(other, place))[0] ?? null;
  }

  // A question is over as soon as a label stands there, whoever has set it.
  #close() {
    if (this.doubted && this.#labelAt(this.doubted)) this.select(null);
  }

  // Suggestions of the class that is being labelled.
  get open() {
    return this.openOf(this.species);
  }

  // Suggestions where no label is, whether the server knows of it yet or not, and which no other class claims.
  openOf(species) {
    this.#open ??= this.#unclaimed();
    return this.#open[species];
  }

  #unclaimed() {
    const { suggestions, labels, diameters } = this;
    const unsettled = diameters.map((diameter, each) => unsettledOf(suggestions, labels, each, diameter / 2));
    return unclaimedOf(unsettled, diameters, diameters.map((_, each) => this.scoreOf(each)));
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
      this.diameters = this.classes.map(({ diameter }) => diameter); // all is as it was
      this.#takeLabels();
      return null;
    }
  }

  async add({ x, y, z }, kind, snap) {
    const { species } = this;
    const [made] = this.#made([{ x, y, z }], kind, species);
    const what = `${this.#called(species)}${kind ? "label" : "“no particle”"}`;
    const answer = await this.edit(
      { do: "add", tomogram: this.index, xyz: [x, y, z], kind, snap, species },
      ({ id, snapped }) => `${what} ${id} added${snapped ? `, snapped by ${snapped.toFixed(1)} voxels` : ""}`,
    );
    this.#known(made, answer && this.labels.find(({ id }) => id === answer.id));
    return answer;
  }

  // Labels that are seen at once, while the server is being told. A single one is selected.
  #made(places, kind, species) {
    const made = places.map(({ x, y, z }) => ({ id: undefined, x, y, z, kind, species }));
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

  // Suggestions become labels of a kind and a class.
  async settle(suggestions, kind, species = this.species) {
    const places = suggestions.map(({ x, y, z }) => [x, y, z]);
    const [made] = this.#made(suggestions, kind, species);
    const many = `${this.#called(species)}${places.length === 1 ? "suggestion" : `${places.length} suggestions`}`;
    const what = kind ? "accepted" : "marked as no particle";
    const body = { do: kind ? "accept" : "reject", tomogram: this.index, places, species };
    const answer = await this.edit(body, () => `${many} ${what}`);
    this.#known(made, answer && this.#labelAt(made));
  }

  setKind({ id, species }, kind) {
    const name = this.several ? ` ${this.classes[species].name}` : " particle";
    return this.edit({ do: "kind", id, kind }, () => `label ${id} is ${kind ? "a" : "no"}${name}`);
  }

  setSpecies({ id, kind }, species) {
    return this.edit({ do: "kind", id, kind, species }, () => `label ${id} is of ${this.classes[species].name}`);
  }

  // Of which class, where there are several.
  #called(species) {
    return this.several ? `${this.classes[species].name}: ` : "";
  }

  // The circles follow at once, the server when the size has not changed for a while.
  resize(diameter) {
    this.diameters[this.species] = Math.min(Math.max(Math.round(diameter * 2) / 2, SMALLEST), LARGEST);
    this.#changed("labels");
    clearTimeout(this.#resizing);
    this.#resizing = setTimeout(() => this.#resized(), 350);
  }

  #resized() {
    clearTimeout(this.#resizing);
    this.#resizing = 0;
    const { diameter, species } = this;
    if (diameter === this.classes[species].diameter) return;
    this.edit({ do: "diameter", diameter, species }, () => `${this.#called(species)}diameter ${diameter} voxels`);
  }

  // What the viewer draws.
  get spheres() {
    return (this.#spheres ??= spheresOf(this));
  }
}
