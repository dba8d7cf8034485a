"use strict";

// One canvas of the viewer: a slice of the volume with what lies in it. `view` is {scale: CSS pixels per voxel,
// centre: {x, y, z} in the middle of every plane}, the same for all planes, so that they move together.
class Plane {
  #context;
  #shade = null; // the slice's picture in the colours of a table: {table, image, heat}
  #backdrop = { key: "", shade: null, canvas: new OffscreenCanvas(1, 1) }; // the same as large as the canvas shows it

  constructor(canvas, axis) {
    Object.assign(this, { canvas, axis, sides: SIDES[axis], asked: 0, shown: null, note: "", width: 0, height: 0 });
    this.#context = canvas.getContext("2d", { alpha: false });
  }

  // As large as the page shows it now, in CSS pixels, and as fine as the screen.
  measure() {
    const { canvas } = this;
    const { width, height } = canvas.getBoundingClientRect();
    Object.assign(this, { width, height });
    const [across, down] = [width, height].map((length) => Math.round(length * window.devicePixelRatio));
    if (canvas.width !== across) canvas.width = across;
    if (canvas.height !== down) canvas.height = down;
  }

  // shown: {slice, grey, heat or null, key}, or null for nothing.
  hold(shown) {
    this.shown = shown;
    this.#shade = null;
    this.note = "";
  }

  // From voxels to CSS pixels of the canvas, and back.
  screen(place, { scale, centre }) {
    const [u, v] = this.sides;
    return [this.width / 2 + (place[u] - centre[u]) * scale, this.height / 2 - (place[v] - centre[v]) * scale];
  }

  voxel([left, top], { scale, centre }) {
    const [u, v] = this.sides;
    return {
      [u]: centre[u] + (left - this.width / 2) / scale,
      [v]: centre[v] - (top - this.height / 2) / scale,
    };
  }

  // Radius of the circle in which a sphere cuts the slice, the largest within its thickness; 0 when it does not.
  cut(sphere, slice = this.shown?.slice) {
    if (!slice) return 0;
    const away = Math.max(Math.abs(sphere[this.axis] - slice.middle) - slice.thick / 2, 0);
    return away < sphere.radius ? Math.sqrt(sphere.radius ** 2 - away ** 2) : 0;
  }

  paint({ view, size, table, spheres, cross, bar }) {
    if (!this.canvas.width || !this.canvas.height) return; // folded away
    const context = this.#context;
    context.setTransform(this.canvas.width / this.width, 0, 0, this.canvas.height / this.height, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.width, this.height);
    if (this.shown) {
      context.drawImage(this.#picture(view, size, table), 0, 0, this.width, this.height);
      this.#spheres(context, view, spheres);
    }
    if (cross && this.shown) this.#cross(context, view, size, cross);
    if (bar && this.shown) this.#bar(context, bar, view.scale);
    if (this.note) this.#note(context);
  }

  // The slice as the view has it. Scaling it takes longest, and circles and the cross move while it stays.
  #picture(view, size, table) {
    const backdrop = this.#backdrop;
    if (this.#shade?.table !== table) this.#shade = { table, image: shaded(this.shown.grey, table) };
    const [u, v] = this.sides;
    const [left, bottom] = this.screen({ [u]: -0.5, [v]: -0.5 }, view);
    const { width, height } = this.canvas;
    const key = `${width},${height},${left},${bottom},${view.scale}`;
    if (backdrop.key === key && backdrop.shade === this.#shade) return backdrop.canvas;
    Object.assign(backdrop, { key, shade: this.#shade });
    Object.assign(backdrop.canvas, { width, height }); // emptied, too
    const context = backdrop.canvas.getContext("2d");
    const across = (picture) => picture.covers.map((voxels) => voxels * view.scale);
    context.scale(width / this.width, height / this.height);
    context.translate(left, bottom);
    context.scale(1, -1); // rows are stored from the smallest coordinate on
    context.beginPath(); // the last pixels may reach beyond the volume
    context.rect(0, 0, size[u] * view.scale, size[v] * view.scale);
    context.clip();
    context.imageSmoothingQuality = view.scale < 1 ? "medium" : "high";
    context.drawImage(this.#shade.image, 0, 0, ...across(this.shown.grey));
    if (this.shown.heat) {
      this.#shade.heat ??= shaded(this.shown.heat, HEAT);
      context.globalCompositeOperation = "screen";
      context.drawImage(this.#shade.heat, 0, 0, ...across(this.shown.heat));
    }
    return backdrop.canvas;
  }

  // Those that the slice cuts and the canvas shows, by their looks.
  #spheres(context, view, spheres) {
    const looks = new Map();
    const handles = [];
    let count = 0;
    for (const sphere of spheres) {
      const radius = this.cut(sphere) * view.scale;
      if (!radius) continue;
      const [left, top] = this.screen(sphere, view);
      if (left + radius < 0 || top + radius < 0 || left - radius > this.width || top - radius > this.height) continue;
      const { colour, dashed, dashes, tag, mark, wide, width, ruler } = sphere;
      const key = `${colour}/${dashed}/${dashes}/${tag}/${wide}/${width}/${mark}`;
      let look = looks.get(key);
      if (!look) looks.set(key, (look = { key, colour, dashed, dashes, tag, wide, width, mark, circles: [] }));
      look.circles.push([left, top, radius]);
      if (ruler) handles.push([left + radius, top, colour]);
      count += 1;
    }
    for (const look of looks.values()) {
      if (count > CROWD) stamp(context, look);
      else stroke(context, look);
    }
    context.lineWidth = 1.5;
    context.strokeStyle = "#000";
    for (const [left, top, colour] of handles) {
      context.fillStyle = colour;
      context.fillRect(left - 4, top - 4, 8, 8);
      context.strokeRect(left - 4, top - 4, 8, 8);
    }
  }

  // Where the other two planes cut this one; the place itself stays free.
  #cross(context, view, size, place) {
    const [u, v] = this.sides;
    const [left, top] = this.screen(place, view);
    const [low, bottom] = this.screen({ [u]: -0.5, [v]: -0.5 }, view);
    const [high, upper] = [low + size[u] * view.scale, bottom - size[v] * view.scale];
    const free = 14;
    context.beginPath();
    for (const [from, to] of [[low, left - free], [left + free, high]]) {
      if (from < to) context.moveTo(from, top), context.lineTo(to, top);
    }
    for (const [from, to] of [[upper, top - free], [top + free, bottom]]) {
      if (from < to) context.moveTo(left, from), context.lineTo(left, to);
    }
    context.lineWidth = 1;
    context.strokeStyle = "rgb(120 190 255 / 0.55)";
    context.stroke();
  }

  // bar: {voxels, text}.
  #bar(context, { voxels, text }, scale) {
    const [left, top, long] = [14, this.height - 16, voxels * scale];
    context.font = "12px system-ui, sans-serif";
    const wide = Math.max(long, context.measureText(text).width);
    context.fillStyle = "rgb(0 0 0 / 0.5)";
    context.fillRect(left - 6, top - 20, wide + 12, 28);
    context.fillStyle = "#fff";
    context.fillRect(left, top, long, 3);
    context.fillText(text, left, top - 6);
  }

  #note(context) {
    context.font = "13px system-ui, sans-serif";
    context.textAlign = "center";
    const most = this.width - 24;
    const lines = wrapped(context, this.note, most);
    const wide = Math.min(Math.max(...lines.map((line) => context.measureText(line).width)), most);
    const top = this.height / 2 - 9 * lines.length;
    context.fillStyle = "rgb(0 0 0 / 0.65)";
    context.fillRect((this.width - wide) / 2 - 8, top - 5, wide + 16, 18 * lines.length + 10);
    context.fillStyle = "#fff";
    lines.forEach((line, number) => context.fillText(line, this.width / 2, top + 18 * number + 14, most));
    context.textAlign = "start";
  }
}

const CROWD = 500; // circles

// The circles of one look, with a dark rim, so that they are seen on white as well. Each is a path of its own: one of
// thousands takes longer.
function stroke(context, { colour, dashed, dashes = dashed ? [5, 4] : [], tag, mark, wide, width, circles }) {
  width ??= wide ? 3 : dashed ? 1.5 : 2;
  for (const [style, own, line] of [["rgb(0 0 0 / 0.45)", width + 1.5, []], [colour, width, dashes]]) {
    context.strokeStyle = style;
    context.lineWidth = own;
    context.setLineDash(line);
    for (const [left, top, radius] of circles) {
      context.beginPath();
      context.arc(left, top, radius, 0, 2 * Math.PI);
      context.stroke();
    }
    context.setLineDash([]);
    for (const [left, top, radius] of mark ? circles : []) {
      context.beginPath();
      MARKS[mark](context, left, top, radius);
      context.stroke();
    }
  }
  if (tag) writeTags(context, tag, colour, circles);
}

const TAG = 11; // pixels of its letters

// A letter or two at the upper right of each circle.
function writeTags(context, tag, colour, circles) {
  context.font = `bold ${TAG}px system-ui, sans-serif`;
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = "rgb(0 0 0 / 0.7)";
  context.fillStyle = colour;
  for (const [left, top, radius] of circles) {
    const place = [left + radius * Math.SQRT1_2 + 2, top - radius * Math.SQRT1_2];
    context.strokeText(tag, ...place);
    context.fillText(tag, ...place);
  }
}

const stamps = new Map(); // pictures of circles, by look and radius

// The same for thousands of circles: copies of pictures, whose radii are whole pixels.
function stamp(context, look) {
  const dots = window.devicePixelRatio;
  if (stamps.size > 2000) stamps.clear();
  for (const [left, top, exact] of look.circles) {
    const radius = Math.max(Math.round(exact), 1);
    const half = radius + 3 + (look.tag ? TAG * look.tag.length : 0);
    const key = `${look.key}/${radius}/${dots}`;
    let picture = stamps.get(key);
    if (!picture) {
      picture = new OffscreenCanvas(Math.ceil(2 * half * dots), Math.ceil(2 * half * dots));
      const own = picture.getContext("2d");
      own.scale(dots, dots);
      stroke(own, { ...look, circles: [[half, half, radius]] });
      stamps.set(key, picture);
    }
    context.drawImage(picture, left - half, top - half, picture.width / dots, picture.height / dots);
  }
}

// Lines no wider than `most`, unless a word is.
function wrapped(context, text, most) {
  const lines = [];
  for (const word of text.split(" ")) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && context.measureText(longer).width <= most) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

// What stands inside a circle, so that it is told without its colour.
const MARKS = {
  cross(path, left, top, radius) {
    const arm = radius * Math.SQRT1_2;
    path.moveTo(left - arm, top - arm);
    path.lineTo(left + arm, top + arm);
    path.moveTo(left - arm, top + arm);
    path.lineTo(left + arm, top - arm);
  },
  plus(path, left, top) {
    path.moveTo(left - 3.5, top);
    path.lineTo(left + 3.5, top);
    path.moveTo(left, top - 3.5);
    path.lineTo(left, top + 3.5);
  },
  dot(path, left, top) {
    path.moveTo(left + 1.5, top);
    path.arc(left, top, 1.5, 0, 2 * Math.PI);
  },
};

// A table of the colours of 256 grey values, as words of an ImageData.
function tableOf(colour) {
  const table = new Uint32Array(256);
  const bytes = new Uint8ClampedArray(table.buffer);
  for (let grey = 0; grey < 256; grey += 1) bytes.set([...colour(grey), 255], 4 * grey);
  return table;
}

const HEAT = tableOf((value) => [value, value * 0.48, 0]);

// A picture coloured by a table, to be drawn.
function shaded({ w, h, grey }, table) {
  const image = new ImageData(w, h);
  const words = new Uint32Array(image.data.buffer);
  for (let index = 0; index < words.length; index += 1) words[index] = table[grey[index]];
  const canvas = new OffscreenCanvas(w, h);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// A picture without circles, as large as its canvas; rows from the smallest y on.
function drawPicture(canvas, picture, pixels) {
  canvas.width = canvas.height = pixels;
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, -1, 0, pixels);
  context.imageSmoothingQuality = "high";
  context.drawImage(shaded(picture, PLAIN), 0, 0, pixels, pixels);
}

const PLAIN = tableOf((value) => [value, value, value]);
