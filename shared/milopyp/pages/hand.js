"use strict";

// What mouse, pen and fingers do on one plane of the viewer:
//   click                         event "place"
//   pull a sphere that has an id  event "drag"
//   pull a ruler's handle         event "ruler"
//   pull elsewhere, with the middle or right button or while Space is held, or two fingers: move the view
//   pull with Shift               contrast: across its middle, down its width
//   wheel                         slices; with Ctrl, or two fingers: zoom about the pointer
class Hand {
  static SLIP = 4; // CSS pixels that a click may move

  #down = new Map(); // pointers that are down: id -> [left, top]
  #doing = null; // {what: "click" | "pan" | "contrast" | "drag" | "ruler", from, sphere}
  #wheeled = 0;
  #space = false;

  constructor(viewer, plane) {
    Object.assign(this, { viewer, plane, canvas: plane.canvas });
    const listen = (name, act) => this.canvas.addEventListener(name, (event) => viewer.volume && act(event));
    listen("pointerdown", (event) => this.#pressed(event));
    listen("pointermove", (event) => this.#moved(event));
    listen("pointerup", (event) => this.#released(event));
    listen("pointercancel", (event) => this.#gone(event));
    listen("pointerleave", () => viewer.point(plane, null));
    listen("contextmenu", (event) => event.preventDefault());
    listen("keydown", (event) => this.#key(event, true));
    listen("keyup", (event) => this.#key(event, false));
    listen("blur", () => (this.#space = false));
    this.canvas.addEventListener("wheel", (event) => viewer.volume && this.#turned(event), { passive: false });
  }

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #key(event, down) {
    if (event.key !== " ") return;
    event.preventDefault();
    this.#space = down;
  }

  #pressed(event) {
    const from = this.#point(event);
    this.#down.set(event.pointerId, from);
    this.viewer.point(this.plane, null);
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    if (event.button === 1) event.preventDefault(); // no scrolling by it
    if (this.#down.size > 1) {
      this.#stop();
      return;
    }
    const pans = event.button !== 0 || this.#space;
    const ruler = pans ? null : this.viewer.rulerAt(this.plane, from);
    const what = pans ? "pan" : ruler ? "ruler" : event.shiftKey ? "contrast" : "click";
    const sphere = pans ? null : (ruler ?? this.viewer.sphereAt(this.plane, from));
    const { black, white } = this.viewer;
    this.#doing = { what, from, sphere, black, white };
  }

  #moved(event) {
    const point = this.#point(event);
    const before = this.#down.get(event.pointerId);
    if (!before) {
      this.#hint(point);
      return;
    }
    if (this.#down.size > 1) this.#pinch(event.pointerId, point);
    this.#down.set(event.pointerId, point);
    const doing = this.#doing;
    if (!doing) return;
    if (doing.what === "click" && this.#far(doing.from, point, event)) {
      doing.what = doing.sphere?.id !== undefined ? "drag" : "pan";
    }
    if (doing.what === "ruler") this.#measured(doing.sphere, point);
    if (doing.what === "drag") this.viewer.pull(doing.sphere, this.#pulled(doing, point));
    if (doing.what === "pan") this.viewer.pan(this.plane, point[0] - before[0], point[1] - before[1]);
    if (doing.what === "contrast") this.#contrast(point[0] - doing.from[0], point[1] - doing.from[1]);
  }

  #hint(point) {
    const { viewer, plane, canvas } = this;
    viewer.point(plane, point);
    const { sphere, ruler } = viewer.pointed ?? {};
    canvas.style.cursor = ruler ? "ew-resize" : sphere?.id !== undefined ? "grab" : "";
  }

  // The sphere through this point of the plane.
  #measured(sphere, point) {
    const { viewer, plane } = this;
    const [left, top] = plane.screen(sphere, viewer.view);
    const across = Math.hypot(point[0] - left, point[1] - top) / viewer.view.scale;
    const slice = viewer.slice(plane.axis);
    const away = Math.max(Math.abs(sphere[plane.axis] - slice.middle) - slice.thick / 2, 0);
    viewer.dispatchEvent(new CustomEvent("ruler", { detail: { radius: Math.hypot(across, away) } }));
  }

  #far(from, to, event) {
    return Math.hypot(to[0] - from[0], to[1] - from[1]) > Hand.SLIP * (event.pointerType === "touch" ? 2.5 : 1);
  }

  // Where a sphere is that was pulled to a point of the canvas, inside the volume.
  #pulled({ sphere, from }, point) {
    const { view, size } = this.viewer;
    const { x, y, z } = sphere;
    const place = { x, y, z };
    const way = [point[0] - from[0], from[1] - point[1]];
    for (const [index, side] of this.plane.sides.entries()) {
      place[side] = Math.min(Math.max(place[side] + way[index] / view.scale, 0), size[side] - 1);
    }
    return place;
  }

  // To the right darker, downwards softer, as people know it from other viewers.
  #contrast(across, down) {
    const { black, white } = this.#doing;
    const middle = (black + white) / 2 + across / 3;
    const half = Math.max((white - black) / 2 + down / 3, 3);
    this.viewer.contrast(middle - half, middle + half);
  }

  #pinch(id, point) {
    const [other] = [...this.#down].filter(([own]) => own !== id).map(([, place]) => place);
    const before = this.#down.get(id);
    const apart = (one) => Math.max(Math.hypot(one[0] - other[0], one[1] - other[1]), 1);
    const middle = [(point[0] + other[0]) / 2, (point[1] + other[1]) / 2];
    this.viewer.pan(this.plane, (point[0] - before[0]) / 2, (point[1] - before[1]) / 2);
    this.viewer.zoom(apart(point) / apart(before), this.plane.voxel(middle, this.viewer.view));
  }

  #released(event) {
    const doing = this.#doing;
    const point = this.#point(event);
    const { viewer, plane } = this;
    this.#gone(event);
    if (doing?.what === "drag") {
      const detail = { sphere: doing.sphere, ...this.#pulled(doing, point) };
      viewer.dispatchEvent(new CustomEvent("drag", { detail }));
    }
    if (doing?.what !== "click" && !(doing?.what === "contrast" && !this.#far(doing.from, point, event))) return;
    const place = viewer.placeAt(plane, point);
    if (!viewer.inside(place)) return;
    const detail = { ...place, axis: plane.axis, sphere: doing.sphere, alt: event.altKey };
    viewer.dispatchEvent(new CustomEvent("place", { detail }));
  }

  #gone(event) {
    this.#down.delete(event.pointerId);
    this.#stop();
  }

  #stop() {
    if (this.#doing?.what === "drag") this.viewer.pull(null);
    this.#doing = null;
  }

  #turned(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1; // Firefox counts lines
    if (event.ctrlKey || event.metaKey) {
      const place = this.plane.voxel(this.#point(event), this.viewer.view);
      this.viewer.zoom(Math.exp(-event.deltaY * lines * 0.0022), place);
      return;
    }
    this.#wheeled += event.deltaY * lines;
    if (Math.abs(this.#wheeled) < 30) return; // touch pads send many small steps
    this.viewer.step(this.plane.axis, this.#wheeled > 0 ? -1 : 1);
    this.#wheeled = 0;
  }
}
