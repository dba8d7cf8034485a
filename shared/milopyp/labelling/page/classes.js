"use strict";

// The classes, where there are several: how each looks, and which one clicks label. It is the legend as well.
class ClassChoice {
  #buttons = []; // {input, count}

  constructor(session, choose) {
    Object.assign(this, { session, choose, list: element("classes") });
    for (const name of ["state", "species", "labels"]) session.addEventListener(name, () => this.#write());
  }

  #write() {
    const { session } = this;
    this.list.hidden = !session.several;
    document.body.classList.toggle("several", session.several);
    if (!session.several) return;
    if (this.#buttons.length !== session.classes.length) this.#make();
    this.#buttons.forEach(({ input, count }, species) => {
      input.checked = species === session.species;
      count.textContent = session.labels.filter((label) => label.kind && label.species === species).length || "";
    });
  }

  #make() {
    const { session } = this;
    const make = (name, facts = {}) => Object.assign(document.createElement(name), facts);
    this.#buttons = session.classes.map(({ name }, species) => {
      const input = make("input", { type: "radio", name: "class", id: `class-${species + 1}` });
      const count = make("span", { className: "note" });
      input.addEventListener("change", () => this.choose(species));
      return { input, count, name, species };
    });
    this.list.replaceChildren(
      ...this.#buttons.map(({ input, count, name, species }) => {
        const label = make("label", { title: `Clicks label ${name} (${species + 1})` });
        const swatch = make("canvas", { className: "swatch" });
        drawSwatch(swatch, session.look(species));
        swatch.setAttribute("aria-hidden", "true");
        const shown = make("span");
        shown.append(make("kbd", { textContent: species + 1 }), swatch, name, count);
        label.append(input, shown);
        return label;
      }),
    );
  }
}
