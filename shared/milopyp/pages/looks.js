"use strict";

// How classes of particles are told apart, without colours as well: by their lines, and by their numbers, which are keys.

const LINES = [[], [9, 4], [2, 3], [10, 3, 2, 3]]; // dashes and gaps in pixels: whole, dashed, dotted, both

// The look (plane.js) of the class of a number, from 0. Colours are lighter than they are, to be seen on dark particles.
const lookOf = (number, colour) => ({
  colour: `color-mix(in srgb, ${colour} 70%, white)`,
  dashes: LINES[number % LINES.length],
  tag: String(number + 1),
});

// Of so many classes the one whose key is pressed, from 0; nothing where there is none. The key itself counts, not what
// it types: on some keyboards digits take Shift. AltGr and a digit type brackets on others.
function classOf(event, count) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.getModifierState("AltGraph")) return undefined;
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1] ?? /^[1-9]$/.exec(event.key)?.[0]; // keypad, keyboards on screens
  return count > 1 && digit <= count ? digit - 1 : undefined;
}

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
