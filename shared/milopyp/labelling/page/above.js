"use strict";

const SILENT =
  "milopyp label does not answer. If it was ended: start the same command and open the address it prints.";

// What stands above the planes: which tomogram it is, what can be undone, what is wrong, the size of particles, and what to
// do first.
class Above {
  #typed = null; // the field in which a size is being typed

  constructor(session) {
    const { link } = session;
    Object.assign(this, { session, link });
    for (const name of ["state", "tomogram"]) session.addEventListener(name, () => this.#write());
    session.addEventListener("labels", () => this.#writeSize());
    for (const name of ["labels", "suggestions"]) session.addEventListener(name, () => this.#hint());
    link.addEventListener("lost", () => this.#problem());
    link.addEventListener("back", () => {
      if (element("problem").textContent === SILENT) say("milopyp label answers again");
      this.#write();
    });
    for (const id of ["diameter", "angstrom"]) {
      const changed = (name, act) => element(id).addEventListener(name, ({ target }) => act(Number(target.value)));
      changed("input", () => (this.#typed = id));
      changed("change", (value) => this.#sized(id, value));
      changed("blur", () => this.#sized(id)); // what is no number at all changes nothing
    }
  }

  // A size has been typed; what cannot be one goes back to what it was.
  #sized(id, value) {
    const { session } = this;
    const unit = id === "angstrom" ? session.own.voxel : 1;
    this.#typed = null;
    if (value / unit >= SMALLEST && value / unit <= LARGEST) return session.resize(value / unit);
    if (value !== undefined) {
      const range = [SMALLEST, LARGEST].map((length) => Math.round(length * unit)).join(" to ");
      say(`The size stays as it was: ${range} ${id === "angstrom" ? "Å" : "voxels"} are possible`);
    }
    return this.#writeSize();
  }

  #write() {
    const { state, own } = this.session;
    element("name").textContent = own.name;
    document.title = `${own.name} - milopyp label`;
    const size = `${own.size.join(" × ")} voxels${own.voxel ? ` of ${Number(own.voxel.toPrecision(4))} Å` : ""}`;
    element("about").textContent = `${size} · saved in ${state.out}`;
    element("about").title = own.path;
    for (const what of ["undo", "redo"]) {
      element(what).disabled = !state[what];
      element(what).title = `${state[what] ? `${what} “${state[what]}”` : `nothing to ${what}`} (Ctrl+${what === "undo" ? "Z" : "Shift+Z"})`;
    }
    element("windows").hidden = state.windows < 2;
    element("windows").textContent = `open in ${state.windows} windows`;
    this.#problem();
    this.#writeSize();
    this.#hint();
  }

  #problem() {
    const { session, link } = this;
    problem(link.lost ? SILENT : session.state && (session.own.error ?? session.state.problem ?? session.state.apart));
  }

  #writeSize() {
    const { diameter, own } = this.session;
    const write = (id, value) => {
      if (this.#typed !== id) element(id).value = value;
    };
    write("diameter", diameter);
    element("angstrom-label").hidden = !own.voxel;
    if (own.voxel) write("angstrom", Math.round(diameter * own.voxel));
  }

  // What to do first.
  #hint() {
    const { session } = this;
    const first = session.state.tomograms.every((own) => !own.labels.length) && !session.labels.length;
    element("hint").hidden = !first || Boolean(session.own.error);
    const { features } = session.own;
    const reading = features !== null && features < 1;
    if (reading) element("reading").textContent = `reading for suggestions, ${Math.round(100 * features)} %`;
    else element("reading").textContent = session.open.length ? `${session.several ? "no dot" : "dashed"}: suggested; click to accept` : "";
  }
}
