"use strict";

const element = (id) => document.getElementById(id);

// A place for people, and as a key: whole voxels.
function numbersOf({ x, y, z }) {
  return [x, y, z].map(Math.round).join(", ");
}

// A sentence for people, at the foot of the page and to screen readers.
function say(text) {
  element("said").textContent = text;
}

// What is wrong for as long as it is.
function problem(text) {
  element("problem").hidden = !text;
  element("problem").textContent = text ?? "";
}

// The list of tomograms, where there are several.
class Tomograms {
  #buttons = [];

  constructor(session, show) {
    Object.assign(this, { session, show, list: element("tomograms") });
    session.addEventListener("state", () => this.#write());
    session.addEventListener("tomogram", () => this.#write());
  }

  #write() {
    const { tomograms } = this.session.state;
    this.list.hidden = tomograms.length < 2;
    while (this.#buttons.length < tomograms.length) this.#add(this.#buttons.length);
    tomograms.forEach((own, index) => this.#update(this.#buttons[index], own));
  }

  #add(index) {
    const make = (name) => document.createElement(name);
    const made = { whole: make("button"), name: make("b"), text: make("span"), bar: make("progress") };
    made.whole.type = "button";
    made.bar.max = 1;
    made.bar.setAttribute("aria-label", "reading for suggestions");
    made.whole.append(made.name, made.text, made.bar);
    made.whole.addEventListener("click", () => this.show(index));
    this.list.append(made.whole);
    this.#buttons.push(made);
  }

  #update({ whole, name, text, bar }, { index, name: called, labels, features, error, path, count }) {
    whole.title = path;
    if (index === this.session.index) whole.setAttribute("aria-current", "true");
    else whole.removeAttribute("aria-current");
    name.textContent = called;
    const clicked = labels.length === 1 ? "1 label" : `${labels.length} labels`;
    const picked = count !== null ? ` · ${count} ${count === 1 ? "pick" : "picks"}` : "";
    text.textContent = error ? "cannot be read" : `${clicked}${picked}`;
    bar.hidden = features === null || features >= 1;
    if (!bar.hidden) bar.value = features;
  }
}
