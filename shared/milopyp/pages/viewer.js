"use strict";

// A volume on up to three linked canvases: XY, below it XZ, beside it YZ. sources.js and plane.js stand before this
// file, hand.js (mouse, touch) after it.
//
//   const viewer = new LinkedViewer({ z: canvas, y: canvas, x: canvas }); // or { z: canvas } alone
//   viewer.spheres = () => [{x, y, z, radius, colour, dashed, mark: "cross" | "dot" | undefined, wide, id, ruler}];
//     // a `mark` may be a "plus" as well; one that is `passive` is not clicked on; looks.js has `dashes`, `width` and `tag`
//   await viewer.show({ size: [x, y, z], source, heat: another source or null, voxel: Angstrom, null or undefined (no
//     scale bar), spread: whether its first slice sets the contrast });
//   viewer.ghost = () => one more sphere or null, that the plane `axis` alone shows and nobody can click on
//   viewer.go({ z: 40 }); viewer.step("z", +1); await viewer.draw();
//
// Voxels; the centre of the first one at 0; y points up, as in 3dmod. Circles are drawn where spheres are cut, over a
// slab of `thick` sections. Events:
//   "place"    a click; detail {x, y, z, axis, sphere: the one clicked on or null, alt}
//   "drag"     a sphere that has an id was pulled; detail {sphere, x, y, z}
//   "ruler"    the handle of a sphere that has a `ruler` was pulled; detail {radius}
//   "slice"    `place` has changed, to which all planes go
//   "contrast" `black` or `white` has changed, by hand or otherwise
//   "view"     zoomed or moved
//   "pointer"  the pointer is elsewhere, see `pointed`
class LinkedViewer extends EventTarget {
  #table = tableOf((value) => [value, value, value]);
  #pulled = null; // a sphere with an id, on its way
  #frame = 0;
  #unspread = false; // the first slice of a volume has not come yet

  constructor(canvases) {
    super();
    this.planes = Object.entries(canvases).map(([axis, canvas]) => new Plane(canvas, axis));
    Object.assign(this, { volume: null, place: { x: 0, y: 0, z: 0 }, thick: 1, black: 0, white: 255 });
    Object.assign(this, { showHeat: false, showCross: this.planes.length > 1, spheres: () => [], ghost: () => null });
    this.pointer = null; // {plane, point} while the pointer is over a plane and pulls nothing
    this.view = { scale: 1, centre: { x: 0, y: 0, z: 0 } };
    const watch = new ResizeObserver(() => this.#resized());
    for (const plane of this.planes) {
      watch.observe(plane.canvas);
      new Hand(this, plane);
    }
  }

  // Those that the page does not hide.
  get #seen() {
    return this.planes.filter(({ canvas }) => !canvas.hidden);
  }

  plane(axis) {
    return this.planes.find((plane) => plane.axis === axis);
  }

  get size() {
    const [x, y, z] = this.volume.size;
    return { x, y, z };
  }

  // Another volume, from its middle on or from a place, all of it in view.
  show(volume, place = {}) {
    this.volume?.source.cancel?.();
    this.volume = volume;
    volume.source.loading = (axis, share) => this.#say(axis, share);
    this.#unspread = Boolean(volume.spread);
    for (const plane of this.planes) plane.hold(null);
    const [x, y, z] = volume.size.map((size) => (size - 1) / 2);
    this.place = { x, y, z };
    this.fit();
    return this.go(place);
  }

  // To a place, or some of its coordinates; the view follows where it would be lost.
  go(place) {
    const { size } = this;
    for (const [side, value] of Object.entries(place)) {
      this.place[side] = Math.min(Math.max(value, 0), size[side] - 1);
    }
    this.#follow();
    this.dispatchEvent(new Event("slice"));
    return this.draw();
  }

  // The slice that a plane shows at the present place: {at, thick, middle}.
  slice(axis) {
    return this.volume.source.slice(axis, this.place[axis], this.thick);
  }

  step(axis, count) {
    return this.go({ [axis]: this.slice(axis).at + count * this.volume.source.step(axis) });
  }

  // ---- the view

  // All of XY on its canvas.
  fit() {
    for (const plane of this.planes) plane.measure();
    const { width, height } = this.planes[0];
    const { x, y, z } = this.size;
    this.view.scale = Math.max(Math.min(width / x, height / y), 0.01);
    this.view.centre = { x: (x - 1) / 2, y: (y - 1) / 2, z: (z - 1) / 2 };
    this.fitted = true;
    this.dispatchEvent(new Event("view"));
  }

  refit() {
    this.fit();
    this.paintSoon();
  }

  // By a factor; what lies at `place` stays where it is.
  zoom(factor, place = this.place) {
    const { view, size } = this;
    const least = 0.5 * Math.min(this.planes[0].width / size.x, this.planes[0].height / size.y);
    const scale = Math.min(Math.max(view.scale * factor, Math.min(least, 1)), 40);
    for (const side of Object.keys(place)) {
      view.centre[side] = place[side] + ((view.centre[side] - place[side]) * view.scale) / scale;
    }
    view.scale = scale;
    this.#moved();
  }

  // By CSS pixels of a plane.
  pan(plane, left, top) {
    const [u, v] = plane.sides;
    this.view.centre[u] -= left / this.view.scale;
    this.view.centre[v] += top / this.view.scale;
    this.#moved();
  }

  #moved() {
    const { size, view } = this;
    for (const side of "xyz") view.centre[side] = Math.min(Math.max(view.centre[side], 0), size[side] - 1);
    this.fitted = false;
    this.dispatchEvent(new Event("view"));
    this.paintSoon();
  }

  // Nothing to see of where one is: the view goes there. In XZ and YZ only along z, where they are narrow.
  #follow() {
    for (const plane of this.#seen) {
      for (const [index, side] of plane.sides.entries()) {
        const half = (index ? plane.height : plane.width) / 2 / this.view.scale;
        const away = this.place[side] - this.view.centre[side];
        const enough = 2 * half < this.size[side] ? 0.9 * half : half; // all of a side may be in view, to its edge
        if (Math.abs(away) > enough) this.view.centre[side] += away;
      }
    }
  }

  #resized() {
    if (!this.volume) return;
    if (this.fitted) this.fit();
    this.paint();
  }

  // ---- grey values

  contrast(black, white) {
    this.black = Math.min(Math.max(Math.round(black), 0), 250);
    this.white = Math.min(Math.max(Math.round(white), this.black + 5), 255);
    const gain = 255 / (this.white - this.black);
    this.#table = tableOf((value) => new Array(3).fill((value - this.black) * gain));
    this.dispatchEvent(new Event("contrast"));
    this.paintSoon();
  }

  // So that a hundredth of the pixels of XY is black, and as many are white.
  spread() {
    const grey = this.planes[0].shown?.grey.grey;
    if (!grey) return;
    this.#unspread = false;
    const counts = new Array(256).fill(0);
    for (const value of grey) counts[value] += 1;
    const end = (values) => {
      let sum = 0;
      return values.findIndex((count) => (sum += count) > 0.01 * grey.length);
    };
    this.contrast(end(counts), 255 - end(counts.toReversed()));
  }

  // ---- spheres

  // Radius of the circle in which a plane cuts a sphere; 0 when it does not.
  cut(sphere, axis = "z") {
    return this.plane(axis).cut(sphere, this.slice(axis));
  }

  // The sphere under a point of a plane (CSS pixels of its canvas), the one whose middle is nearest.
  sphereAt(plane, point) {
    let [best, closest] = [null, Infinity];
    for (const sphere of this.spheres()) {
      const radius = sphere.passive ? 0 : plane.cut(sphere) * this.view.scale;
      if (!radius) continue;
      const [left, top] = plane.screen(sphere, this.view);
      const away = Math.hypot(left - point[0], top - point[1]);
      if (away > Math.max(radius, 7) || away >= closest) continue;
      [best, closest] = [sphere, away];
    }
    return best;
  }

  // The sphere whose handle is under a point of a plane.
  rulerAt(plane, point) {
    return this.spheres().find((sphere) => {
      const radius = sphere.ruler && plane.cut(sphere) * this.view.scale;
      if (!radius) return false;
      const [left, top] = plane.screen(sphere, this.view);
      return Math.hypot(left + radius - point[0], top - point[1]) < 9;
    });
  }

  // Where a point of a plane is in the volume; the third coordinate is that of the slice.
  placeAt(plane, point) {
    return { ...plane.voxel(point, this.view), [plane.axis]: this.slice(plane.axis).middle };
  }

  inside(place) {
    const { size } = this;
    return [..."xyz"].every((side) => place[side] >= -0.5 && place[side] <= size[side] - 0.5);
  }

  // What the pointer is over, as a click would have it: {x, y, z, axis, sphere, ruler}; null outside the volume.
  get pointed() {
    if (!this.pointer || !this.volume) return null;
    const { plane, point } = this.pointer;
    const place = this.placeAt(plane, point);
    if (!this.inside(place)) return null;
    return { ...place, axis: plane.axis, sphere: this.sphereAt(plane, point), ruler: this.rulerAt(plane, point) };
  }

  point(plane, point) {
    this.pointer = point && { plane, point };
    this.dispatchEvent(new Event("pointer"));
  }

  // A sphere is being pulled to a place (null: not any more); it is drawn there.
  pull(sphere, place) {
    this.#pulled = sphere && { ...sphere, ...place };
    this.paintSoon();
  }

  // ---- drawing

  // Another heat map of the same volume, or none.
  changeHeat(heat) {
    if (this.volume.heat === heat) return;
    this.volume.heat = heat;
    for (const { shown } of this.planes) if (shown) shown.key = "";
    this.draw();
  }

  // Bring the slices and draw; a promise that all planes show them, unless others have been asked for meanwhile.
  async draw() {
    if (!this.volume) return;
    this.paintSoon(); // the circles and the cross need not wait
    await Promise.all(this.#seen.map((plane) => this.#bring(plane)));
    this.paint();
  }

  // Draw what is there, once per frame of the screen.
  paintSoon() {
    this.#frame ||= requestAnimationFrame(() => this.paint());
  }

  paint() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.volume) return;
    for (const plane of this.#seen) plane.measure();
    const spheres = this.#pulled
      ? this.spheres().map((sphere) => (sphere.id === this.#pulled.id ? this.#pulled : sphere))
      : this.spheres();
    const ghost = this.ghost();
    const whole = { view: this.view, size: this.size, table: this.#table };
    for (const plane of this.#seen) {
      const bar = plane === this.planes[0] ? this.#scaleBar() : null;
      const all = ghost?.axis === plane.axis ? [...spheres, ghost] : spheres;
      plane.paint({ ...whole, spheres: all, bar, cross: this.showCross ? this.place : null });
    }
  }

  async #bring(plane) {
    const { volume, showHeat } = this;
    const slice = this.slice(plane.axis);
    const withHeat = showHeat && volume.heat;
    const key = `${slice.at},${slice.thick},${Boolean(withHeat)}`;
    const number = ++plane.asked;
    if (plane.shown?.key === key) {
      plane.note = "";
      return;
    }
    const late = setTimeout(() => this.#say(plane.axis, null), 150);
    try {
      const get = (source) => source.get(plane.axis, slice.at, slice.thick);
      const [grey, heat] = await Promise.all([get(volume.source), withHeat ? get(volume.heat) : null]);
      if (volume !== this.volume || number < (plane.shown?.number ?? 0)) return; // a later one has been faster
      plane.hold({ slice, grey, heat, key, number });
      if (this.#unspread && plane === this.planes[0]) this.spread();
    } catch (error) {
      if (error.name === "AbortError" || number !== plane.asked) return;
      plane.note = error.message;
    } finally {
      clearTimeout(late);
    }
    this.paintSoon();
  }

  #say(axis, share) {
    const plane = this.plane(axis);
    if (!plane) return;
    plane.note = share === null ? "loading" : `loading, ${Math.round(100 * share)} %`;
    this.paintSoon();
  }

  // 1, 2 or 5 times a power of ten, about 100 pixels long; none where the volume says nothing of voxels.
  #scaleBar() {
    const { voxel } = this.volume;
    if (voxel === undefined) return null;
    const unit = voxel ? voxel / 10 : 1; // nm per voxel
    const most = (130 / this.view.scale) * unit;
    const power = 10 ** Math.floor(Math.log10(most));
    const long = [5, 2, 1].find((digit) => digit * power <= most) * power;
    return { voxels: long / unit, text: `${Number(long.toPrecision(1))} ${voxel ? "nm" : "voxels"}` };
  }
}
