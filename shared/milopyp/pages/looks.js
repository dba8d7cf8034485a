"use strict";

// How classes of particles are told apart, without colours as well: by their lines and by their numbers, which are keys.

const LINES = [[], [9, 4], [2, 3], [10, 3, 2, 3]]; // dashes and gaps in pixels: whole, dashed, dotted, both

// The look (plane.js) of the class of a number, from 0. Colours are lighter than they are, to be seen on dark particles.
const lookOf = (number, colour) => ({
  colour: `color-mix(in srgb, ${colour} 70%, white)`,
  dashes: LINES[number % LINES.length],
  tag: String(number + 1),
});

const SWATCH = 22; // CSS pixels of a side

// A canvas with a circle of this look, on the grey of a tomogram.
function drawSwatch(canvas, look) {
  const dots = window.devicePixelRatio;
  canvas.width = canvas.height = SWATCH * dots;
  const context = canvas.getContext("2d");
  context.scale(dots, dots);
  context.fillStyle = "#7d7d7d";
  context.fillRect(0, 0, SWATCH, SWATCH);
  stroke(context, { ...look, tag: undefined, circles: [[SWATCH / 2, SWATCH / 2, 0.36 * SWATCH]] });
}
