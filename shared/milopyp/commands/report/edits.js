// What a person changes in a run's picks: a list of changes that are done, undone and kept in the browser.

// A tomogram, its candidates of one class (best first: [x, y, z, score]) and what the changes make of them.
class Tomogram {
  constructor(facts, index, run) {
    Object.assign(this, facts);
    Object.assign(this, { index, run });
    this.saved = true;
    this.applied = { forced: facts.forced, added: facts.added }; // by `milopyp apply`: in the run already
    this.clear();
  }

  get source() {
    return picturesOf(this).grey;
  }

  // A source like the other one, or null.
  get heat() {
    return picturesOf(this).heats[this.run.number];
  }

  // As the run has it.
  clear() {
    this.forced = new Map(this.applied.forced); // candidate -> whether it is a pick, whatever its score
    this.added = [...this.applied.added]; // [x, y, z]
  }

  // Candidates that score above the threshold.
  above(threshold) {
    let [low, high] = [0, this.picks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.picks[middle][3] > threshold) low = middle + 1;
      else high = middle;
    }
    return this.run.limit ? Math.min(low, this.run.limit) : low;
  }

  isPick(candidate, threshold) {
    return this.forced.get(candidate) ?? candidate < this.above(threshold);
  }

  // The score that the weakest pick must exceed here: the threshold, or that of the last pick the limit allows.
  cut(threshold) {
    const above = this.above(threshold);
    return above && above === this.run.limit ? Math.max(threshold, this.picks[above - 1][3]) : threshold;
  }

  // All picks: [x, y, z, score]; those added by hand have the score 1.
  chosen(threshold) {
    const above = this.above(threshold);
    const kept = this.picks.filter((_, candidate) => this.forced.get(candidate) ?? candidate < above);
    return kept.concat(this.added.map((place) => [...place, 1]));
  }

  // How many these are.
  count(threshold) {
    const above = this.above(threshold);
    let count = above + this.added.length;
    for (const [candidate, pick] of this.forced) count += Number(pick) - Number(candidate < above);
    return count;
  }

  get edits() {
    return this.forced.size + this.added.length;
  }

  // The change that makes a candidate a pick or takes it out, whatever its score. `pick` is null where the score says
  // the same.
  toggled(candidate, threshold) {
    const wanted = !this.isPick(candidate, threshold);
    return { tomogram: this.index, candidate, pick: wanted === candidate < this.above(threshold) ? null : wanted };
  }

  apply({ candidate, pick, place, added }) {
    if (place && added) this.added.push(place);
    else if (place) this.added = this.added.filter((own) => own.some((value, axis) => value !== place[axis]));
    else if (pick === null) this.forced.delete(candidate);
    else this.forced.set(candidate, pick);
  }

  // Whether a change that the browser kept is one of this tomogram.
  knows({ candidate, pick, place, added }) {
    if (place) return place.length === 3 && place.every(Number.isFinite) && typeof added === "boolean";
    return candidate in this.picks && [true, false, null].includes(pick);
  }
}

// All changes, in their order: {tomogram, candidate, pick}, {tomogram, place, added}, or {forget: true}, after which
// all is as the run has it. Tomograms are what the changes make of them.
class Edits {
  #done = [];
  #undone = [];

  constructor(tomograms, store) {
    Object.assign(this, { tomograms, store });
    this.restore();
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canForget() {
    return this.#since.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  do(change) {
    this.#done.push(change);
    this.#undone = [];
    this.#settle(change);
  }

  // The change that was taken back; undefined without one.
  undo() {
    return this.#move(this.#done, this.#undone);
  }

  redo() {
    return this.#move(this.#undone, this.#done);
  }

  // Take up what the browser has kept.
  restore() {
    this.#done = this.store.read().filter((change) => this.tomograms[change?.tomogram]?.knows(change));
    this.#undone = [];
    this.#replay();
  }

  #move(from, to) {
    const change = from.pop();
    if (!change) return undefined;
    to.push(change);
    this.#settle(change);
    return change;
  }

  #settle(change) {
    this.#replay();
    for (const own of change.forget ? this.tomograms : [this.tomograms[change.tomogram]]) own.saved = false;
    this.store.write(this.#since);
  }

  // What has been done since all was forgotten.
  get #since() {
    return this.#done.slice(this.#done.findLastIndex(({ forget }) => forget) + 1);
  }

  #replay() {
    for (const own of this.tomograms) own.clear();
    for (const change of this.#done) {
      if (change.forget) for (const own of this.tomograms) own.clear();
      else this.tomograms[change.tomogram].apply(change);
    }
  }
}

// A list under a key of the browser's storage; `refused` where the browser keeps nothing.
class Store {
  constructor(key) {
    Object.assign(this, { key, refused: false });
  }

  read() {
    try {
      const list = JSON.parse(localStorage.getItem(this.key) ?? "[]");
      return Array.isArray(list) ? list : [];
    } catch (error) {
      this.refused = !(error instanceof SyntaxError);
      return [];
    }
  }

  write(list) {
    try {
      if (list.length) localStorage.setItem(this.key, JSON.stringify(list));
      else localStorage.removeItem(this.key);
      this.refused = false;
    } catch {
      this.refused = true;
    }
  }
}
