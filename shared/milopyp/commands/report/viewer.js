"use strict";

// Pictures of a volume's slices, decoded when they are asked for; the most recent ones are kept.
class Pictures {
  #kept = new Map();

  // pictures: WebP files as base64, from the first section on; covers: how many voxels in x and y each one shows.
  constructor({ pictures, covers }, most = 80) {
    Object.assign(this, { encoded: pictures, covers, most });
  }

  // A promise of the picture of slice `index`.
  get(index) {
    const known = this.#kept.get(index);
    this.#kept.delete(index);
    const picture = known ?? this.#decoded(this.encoded[index]);
    this.#kept.set(index, picture); // the last one in the map is the most recent
    if (this.#kept.size > this.most) this.#kept.delete(this.#kept.keys().next().value);
    return picture;
  }

  async #decoded(text) {
    const image = new Image();
    image.src = `data:image/webp;base64,${text}`;
    await image.decode();
    return image;
  }
}

// A canvas that shows the slices of one volume with spheres cut by them.
//
// volume: {size: [x, y, z] in voxels, thickness: sections per slice, grey: Pictures, heat: Pictures or null}.
// spheres: function that gives [{x, y, z, radius, colour, dashed}], voxels, the centre of the first one at 0.
// y points up, as in 3dmod.
class SliceViewer extends EventTarget {
  #drawing = 0;
  #wheeled = 0;

  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.volume = null;
    this.slice = 0;
    this.showHeat = false;
    this.spheres = () => [];
    canvas.addEventListener("click", (event) => this.#clicked(event));
    canvas.addEventListener("wheel", (event) => this.#turned(event), { passive: false });
  }

  get count() {
    return Math.ceil(this.volume.size[2] / this.volume.thickness);
  }

  // z in the middle of a slice.
  middle(slice = this.slice) {
    const first = slice * this.volume.thickness;
    return (first + Math.min(first + this.volume.thickness, this.volume.size[2]) - 1) / 2;
  }

  show(volume, slice) {
    this.volume = volume;
    const [x, y] = volume.size;
    const scale = Math.min(Math.max(1, 1024 / Math.max(x, y)), 1536 / Math.max(x, y));
    [this.canvas.width, this.canvas.height] = [x, y].map((size) => Math.round(scale * size));
    return this.go(slice ?? Math.floor(this.count / 2));
  }

  // To a slice; says so with an event "slice".
  go(slice) {
    this.slice = Math.min(Math.max(slice, 0), this.count - 1);
    this.dispatchEvent(new Event("slice"));
    return this.draw();
  }

  goTo(z) {
    return this.go(Math.floor(z / this.volume.thickness + 0.5 / this.volume.thickness));
  }

  async draw() {
    const number = ++this.#drawing;
    const { volume, slice, showHeat } = this;
    const grey = await volume.grey.get(slice);
    const heat = showHeat && volume.heat ? await volume.heat.get(slice) : null;
    if (number !== this.#drawing) return; // another one has been asked for meanwhile
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.globalCompositeOperation = "source-over";
    drawFlipped(context, grey, ...this.#drawnSize(volume.grey), height);
    if (heat) this.#overlay(context, heat, width, height);
    for (const sphere of this.spheres()) this.#circle(context, sphere);
    this.dispatchEvent(new Event("drawn"));
  }

  // Of a picture on the canvas; a little more than the canvas where its last pixels reach beyond the volume.
  #drawnSize({ covers }) {
    const scale = this.canvas.width / this.volume.size[0];
    return covers.map((voxels) => voxels * scale);
  }

  #overlay(context, heat, width, height) {
    const tinted = new OffscreenCanvas(width, height);
    const own = tinted.getContext("2d");
    drawFlipped(own, heat, ...this.#drawnSize(this.volume.heat), height);
    own.globalCompositeOperation = "multiply";
    own.fillStyle = "#ff7a00";
    own.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "screen";
    context.drawImage(tinted, 0, 0);
    context.globalCompositeOperation = "source-over";
  }

  // Radius of the circle in which a sphere cuts the slice, the largest within its thickness; 0 when it does not.
  cut({ z, radius }) {
    const away = Math.max(Math.abs(z - this.middle()) - this.volume.thickness / 2, 0);
    return away < radius ? Math.sqrt(radius ** 2 - away ** 2) : 0;
  }

  #circle(context, { x, y, z, radius, colour, dashed }) {
    const across = this.cut({ z, radius });
    if (!across) return;
    const scale = this.canvas.width / this.volume.size[0];
    context.beginPath();
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.setLineDash(dashed ? [6, 5] : []);
    const [left, top] = [(x + 0.5) * scale, this.canvas.height - (y + 0.5) * scale];
    context.arc(left, top, across * scale, 0, 2 * Math.PI);
    context.stroke();
  }

  // Says where the volume was clicked with an event "place", its `detail` {x, y, z}.
  #clicked(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = this.volume.size;
    const place = {
      x: ((event.clientX - box.left) / box.width) * x - 0.5,
      y: (1 - (event.clientY - box.top) / box.height) * y - 0.5,
      z: this.middle(),
    };
    this.dispatchEvent(new CustomEvent("place", { detail: place }));
  }

  #turned(event) {
    event.preventDefault();
    this.#wheeled += event.deltaY;
    if (Math.abs(this.#wheeled) < 30) return; // touch pads send many small steps
    this.go(this.slice + (this.#wheeled > 0 ? -1 : 1));
    this.#wheeled = 0;
  }
}

// The surroundings of a place, as far as `reach` in x and y, averaged over about a third of that in z.
async function drawCloseUp(canvas, volume, { x, y, z }, reach, pixels = 96) {
  const { thickness, grey } = volume;
  const count = Math.max(1, Math.round(reach / 3 / thickness));
  const first = Math.round((z + 0.5) / thickness - count / 2);
  const averaged = new OffscreenCanvas(pixels, pixels);
  const context = averaged.getContext("2d");
  context.setTransform(1, 0, 0, -1, 0, pixels);
  for (let number = 0; number < count; number += 1) {
    const slice = Math.min(Math.max(first + number, 0), grey.encoded.length - 1);
    const picture = await grey.get(slice);
    const [across, up] = [picture.naturalWidth / grey.covers[0], picture.naturalHeight / grey.covers[1]];
    const from = [(x + 0.5 - reach) * across, (y + 0.5 - reach) * up, 2 * reach * across, 2 * reach * up];
    context.globalAlpha = 1 / (number + 1); // the mean of those so far and this one
    context.drawImage(picture, ...from, 0, 0, pixels, pixels);
  }
  canvas.width = canvas.height = pixels;
  const own = canvas.getContext("2d");
  own.filter = `contrast(${Math.sqrt(count)})`; // averaging has taken so much from the noise
  own.drawImage(averaged, 0, 0);
}

// Rows of a picture are stored from the smallest y on, and a canvas of the height `bottom` counts from the top.
function drawFlipped(context, picture, width, height, bottom) {
  context.save();
  context.setTransform(1, 0, 0, -1, 0, bottom);
  context.drawImage(picture, 0, 0, width, height);
  context.restore();
}
