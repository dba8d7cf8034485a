"use strict";

// Where the viewer's slices come from. A source has
//   get(axis, at, thick): a promise of {w, h, grey, covers}, the picture of a slice. `grey` are w * h bytes, rows from
//     the smallest vertical coordinate on; `covers` are the voxels that it spans across and up, which may reach beyond
//     the volume where pixels are larger than voxels;
//   slice(axis, place, thick): {at, thick, middle}, the slice that shows a coordinate: what to ask `get` for, how many
//     voxels are averaged and where their middle is;
//   step(axis): voxels from a slice to the next;
//   loading(axis, share): called while a slice takes its time.
// Axes: "z" shows x across and y up, "y" shows x and z, "x" shows z and y. Voxels; the centre of the first one at 0.

const SIDES = { z: ["x", "y"], y: ["x", "z"], x: ["z", "y"] };
const NUMBER_OF = { x: 0, y: 1, z: 2 };

// The most recently used things, as many as fit.
class Kept {
  #things = new Map();
  #bytes = 0;

  constructor(most) {
    this.most = most;
  }

  get(key) {
    const found = this.#things.get(key);
    if (found === undefined) return undefined;
    this.#things.delete(key);
    this.#things.set(key, found); // the last one in the map is the most recent
    return found.thing;
  }

  set(key, thing, bytes) {
    this.#bytes += bytes - (this.#things.get(key)?.bytes ?? 0);
    this.#things.delete(key);
    this.#things.set(key, { thing, bytes });
    for (const [oldest, { bytes: freed }] of this.#things) {
      if (this.#bytes <= this.most || oldest === key) break;
      this.#things.delete(oldest);
      this.#bytes -= freed;
    }
  }
}

// Grey values of a decoded picture, its first row first.
function greyOf(image, w, h) {
  const context = new OffscreenCanvas(w, h).getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, w, h);
  const grey = new Uint8Array(w * h);
  for (let index = 0; index < grey.length; index += 1) grey[index] = data[4 * index];
  return grey;
}

// Pictures of the sections that stand in the page itself, from which the other two planes are cut.
class Embedded {
  static #kept = new Kept(96e6); // of all volumes of the page
  static #made = 0;
  #number = (Embedded.#made += 1);

  // pictures: WebP files as base64, from the first section on; covers: voxels in x and y that each one shows;
  // size: of the volume; thickness: sections per picture.
  constructor({ pictures, covers }, size, thickness) {
    Object.assign(this, { encoded: pictures, covers, size, thickness, loading: () => {} });
  }

  step(axis) {
    return axis === "z" ? this.thickness : 1;
  }

  slice(axis, place, thick) {
    const size = this.size[NUMBER_OF[axis]];
    if (axis !== "z") {
      const at = Math.min(Math.max(Math.round(place), 0), size - 1);
      return { at, thick: 1, middle: at };
    }
    const number = Math.min(Math.max(Math.floor((place + 0.5) / this.thickness), 0), this.encoded.length - 1);
    const first = number * this.thickness;
    const middle = (first + Math.min(first + this.thickness, size) - 1) / 2; // the last one may be thinner
    return { at: middle, thick: this.thickness, middle };
  }

  async get(axis, at) {
    if (axis === "z") return this.#picture(Math.floor((at + 0.5) / this.thickness));
    const all = await Promise.all(this.encoded.map((_, number) => this.#picture(number)));
    return axis === "y" ? this.#across(all, at) : this.#along(all, at);
  }

  // The surroundings of a place in x and y, averaged over about a third of that in z: {w, h, grey}.
  async closeUp({ x, y, z }, reach) {
    const count = Math.max(1, Math.round(reach / 3 / this.thickness));
    const start = Math.round((z + 0.5) / this.thickness - count / 2);
    const clamped = (value, size) => Math.min(Math.max(Math.floor(value), 0), size - 1);
    const numbers = Array.from({ length: count }, (_, index) => clamped(start + index, this.encoded.length));
    const all = await Promise.all(numbers.map((number) => this.#picture(number)));
    const { w, h } = all[0];
    const [across, up] = [w / this.covers[0], h / this.covers[1]]; // pixels per voxel
    const side = Math.max(2, Math.round(2 * reach * across));
    const gain = Math.sqrt(count) / count; // averaging has taken so much from the noise
    const grey = new Uint8ClampedArray(side * side);
    for (let row = 0; row < side; row += 1) {
      const from = w * clamped((y + 0.5 - reach + ((row + 0.5) * 2 * reach) / side) * up, h);
      for (let column = 0; column < side; column += 1) {
        const place = from + clamped((x + 0.5 - reach + ((column + 0.5) * 2 * reach) / side) * across, w);
        grey[row * side + column] = 128 + gain * all.reduce((sum, own) => sum + own.grey[place] - 128, 0);
      }
    }
    return { w: side, h: side, grey };
  }

  #picture(number) {
    const key = `${this.#number}/${number}`;
    const known = Embedded.#kept.get(key);
    if (known) return known;
    const picture = this.#decoded(number);
    Embedded.#kept.set(key, picture, 0);
    picture.then(({ w, h }) => Embedded.#kept.set(key, picture, w * h), () => {});
    return picture;
  }

  async #decoded(number) {
    const image = new Image();
    image.src = `data:image/webp;base64,${this.encoded[number]}`;
    await image.decode();
    const [w, h] = [image.naturalWidth, image.naturalHeight];
    return { w, h, grey: greyOf(image, w, h), covers: this.covers };
  }

  #across(all, y) {
    const { w, h } = all[0];
    const row = Math.min(Math.floor(((y + 0.5) * h) / this.covers[1]), h - 1);
    const grey = new Uint8Array(w * all.length);
    all.forEach((own, number) => grey.set(own.grey.subarray(row * w, (row + 1) * w), number * w));
    return { w, h: all.length, grey, covers: [this.covers[0], all.length * this.thickness] };
  }

  #along(all, x) {
    const { w, h } = all[0];
    const column = Math.min(Math.floor(((x + 0.5) * w) / this.covers[0]), w - 1);
    const grey = new Uint8Array(all.length * h);
    all.forEach((own, number) => {
      for (let row = 0; row < h; row += 1) grey[row * all.length + number] = own.grey[row * w + column];
    });
    return { w: all.length, h, grey, covers: [all.length * this.thickness, this.covers[1]] };
  }
}

// Slices that a server cuts.
class Server {
  static PATIENCE = 300; // ms until a slice that is not wanted any more is given up
  static SLOW = 250; // ms for the bytes of a slice: from then on they come compressed
  #kept;
  #wanted = new Map(); // axis -> key of the slice that was last asked for
  #running = new Map(); // axis -> {key, promise, controller, begun}
  #compressed = false;

  // ask(path, {signal, priority}): a promise of a Response, whatever its status.
  constructor(ask, tomogram, size) {
    Object.assign(this, { ask, tomogram, size, loading: () => {} });
    this.#kept = new Kept(192e6);
  }

  step() {
    return 1;
  }

  slice(axis, place, thick) {
    const last = this.size[NUMBER_OF[axis]] - 1;
    const at = Math.min(Math.max(Math.round(place), 0), last);
    const first = at - Math.floor(thick / 2);
    return { at, thick, middle: (Math.max(first, 0) + Math.min(first + thick - 1, last)) / 2 };
  }

  async get(axis, at, thick) {
    const key = `${axis},${at},${thick}`;
    this.#wanted.set(axis, key);
    const picture = this.#kept.get(key) ?? (await this.#fetched(axis, at, thick, key));
    if (axis === "z") this.#lookAhead(at, thick, key);
    return picture;
  }

  // Give up whatever is on its way: another tomogram is looked at.
  cancel() {
    this.#wanted.clear();
    for (const { controller } of this.#running.values()) controller.abort();
  }

  // One request per axis: one that has just begun is let finish, so that a turning wheel shows slices on its way;
  // of those that wait for it, the last one is sent.
  async #fetched(axis, at, thick, key) {
    for (let busy = this.#running.get(axis); busy && busy.key !== key; busy = this.#running.get(axis)) {
      const left = Server.PATIENCE - (performance.now() - busy.begun);
      const timer = setTimeout(() => busy.controller.abort(), Math.max(left, 0));
      await busy.promise.catch(() => {});
      clearTimeout(timer);
      if (this.#wanted.get(axis) !== key) throw new DOMException("another slice is wanted", "AbortError");
    }
    return this.#running.get(axis)?.promise ?? this.#begin(axis, at, thick, key, "high");
  }

  #begin(axis, at, thick, key, priority) {
    const controller = new AbortController();
    const promise = this.#load(axis, at, thick, { signal: controller.signal, priority }).then((picture) => {
      this.#kept.set(key, picture, picture.grey.length);
      return picture;
    });
    const running = { key, promise, controller, begun: performance.now() };
    this.#running.set(axis, running);
    const over = () => this.#running.get(axis) === running && this.#running.delete(axis);
    promise.then(over, over);
    return promise;
  }

  async #load(axis, at, thick, options) {
    const path = `/api/slice?tomogram=${this.tomogram}&axis=${axis}&at=${at}&thick=${thick}`;
    for (;;) {
      const compressed = this.#compressed;
      const response = await this.ask(compressed ? `${path}&as=jpeg` : path, options);
      if (response.status === 200) return this.#read(response, axis, compressed);
      const { loading, error } = await response.json();
      if (response.status !== 202) throw new Error(error);
      this.loading(axis, loading);
      await new Promise((done) => setTimeout(done, 300));
    }
  }

  async #read(response, axis, compressed) {
    const [[w, h], covers] = ["X-Size", "X-Covers"].map((name) => response.headers.get(name).split(",").map(Number));
    const begun = performance.now();
    const body = compressed ? await response.blob() : await response.arrayBuffer();
    if (performance.now() - begun > Server.SLOW) this.#compressed = true;
    const grey = compressed ? greyOf(await createImageBitmap(body), w, h) : new Uint8Array(body);
    return { w, h, grey, covers };
  }

  // The sections next to this one, one after the other, as long as nothing else is wanted.
  async #lookAhead(at, thick, key) {
    for (const next of [at + 1, at - 1, at + 2, at - 2]) {
      const own = `z,${next},${thick}`;
      if (next < 0 || next >= this.size[2] || this.#kept.get(own)) continue;
      if (this.#wanted.get("z") !== key || this.#running.has("z")) return;
      await this.#begin("z", next, thick, own, "low").catch(() => {});
    }
  }
}
