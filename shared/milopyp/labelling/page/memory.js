"use strict";

// What this window looks at, kept over a reload; a browser that keeps nothing is no reason to complain.
class Memory {
  #facts = {};

  constructor(name) {
    this.name = name;
    try {
      this.#facts = JSON.parse(sessionStorage.getItem(name)) ?? {};
    } catch {
      // as in a new window
    }
  }

  // Of other labels nothing is known.
  of(out) {
    if (this.#facts.out !== out) this.#facts = { out };
  }

  get(key) {
    return this.#facts[key];
  }

  set(key, value) {
    this.#facts[key] = value;
    try {
      sessionStorage.setItem(this.name, JSON.stringify(this.#facts));
    } catch {
      // it is known until the page goes
    }
  }
}
