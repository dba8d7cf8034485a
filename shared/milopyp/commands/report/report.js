// The page of `milopyp report`: threshold, edits, counts, saving. viewer.js stands before it.

const about = JSON.parse(document.getElementById("about").textContent);
const element = (id) => document.getElementById(id);
const BINS = 50;
const SHOWN = 12; // pictures in a montage
const CLOSE_UP = 2.5; // radii from the middle of one to its edges
const COLOUR = { pick: "#27e0a3", other: "#8f98a3", hand: "#5eb1ff", removed: "#ff5c5c", truth: "#ffd84d" };

// A tomogram, its candidates (best first: [x, y, z, score]) and what was changed by hand.
class Tomogram {
  #volume = null;

  constructor(facts, index) {
    Object.assign(this, facts);
    this.index = index;
    this.forced = new Map(); // candidate -> whether it is a pick, whatever its score
    this.added = []; // [x, y, z]
    this.saved = true;
  }

  // Pictures are parsed when the tomogram is first looked at.
  get volume() {
    if (!this.#volume) {
      const { grey, heat } = JSON.parse(element(`pictures-${this.index}`).textContent);
      const { size, thickness } = this;
      this.#volume = { size, thickness, grey: new Pictures(grey), heat: heat && new Pictures(heat) };
    }
    return this.#volume;
  }

  // Candidates that score above the threshold.
  above(threshold) {
    let [low, high] = [0, this.picks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.picks[middle][3] > threshold) low = middle + 1;
      else high = middle;
    }
    return about.limit ? Math.min(low, about.limit) : low;
  }

  isPick(candidate, threshold) {
    return this.forced.get(candidate) ?? candidate < this.above(threshold);
  }

  // Make a candidate a pick or take it out, whatever its score.
  toggle(candidate, threshold) {
    const wanted = !this.isPick(candidate, threshold);
    if (wanted === candidate < this.above(threshold)) this.forced.delete(candidate);
    else this.forced.set(candidate, wanted);
  }

  // The score that the weakest pick must exceed here: the threshold, or that of the last pick the limit allows.
  cut(threshold) {
    const above = this.above(threshold);
    return above && above === about.limit ? Math.max(threshold, this.picks[above - 1][3]) : threshold;
  }

  // All picks: [x, y, z, score]; those added by hand have the score 1.
  chosen(threshold) {
    const above = this.above(threshold);
    const kept = this.picks.filter((_, candidate) => this.forced.get(candidate) ?? candidate < above);
    return kept.concat(this.added.map((place) => [...place, 1]));
  }

  get edits() {
    return this.forced.size + this.added.length;
  }
}

const tomograms = about.tomograms.map((facts, index) => new Tomogram(facts, index));
const viewer = new SliceViewer(element("slices"));
const state = { threshold: about.threshold, shown: 0 };
const current = () => tomograms[state.shown];

// ---- what is drawn

viewer.spheres = () => {
  const own = current();
  const spheres = [];
  const add = ([x, y, z], colour, dashed = false) => spheres.push({ x, y, z, radius: own.radius, colour, dashed });
  if (element("truth").checked) for (const place of own.truth ?? []) add(place, COLOUR.truth, true);
  if (!element("circles").checked) return spheres;
  const above = own.above(state.threshold);
  own.picks.forEach((pick, candidate) => {
    const forced = own.forced.get(candidate);
    if (forced === undefined && candidate < above) add(pick, COLOUR.pick);
    else if (forced) add(pick, COLOUR.hand);
    else if (forced === false) add(pick, COLOUR.removed, true);
    else if (element("others").checked) add(pick, COLOUR.other, true);
  });
  for (const place of own.added) add(place, COLOUR.hand);
  return spheres;
};

function bars(svg, values, width, height, threshold) {
  const highest = Math.sqrt(Math.max(...values, 1));
  const step = width / values.length;
  const made = values.map((value, index) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const tall = (Math.sqrt(value) / highest) * height;
    const place = { x: index * step, y: height - tall, width: step * 0.9, height: tall };
    for (const [name, number] of Object.entries(place)) bar.setAttribute(name, number.toFixed(2));
    bar.setAttribute("class", (index + 1) / values.length > threshold ? "bar above" : "bar");
    return bar;
  });
  svg.replaceChildren(...made);
}

function histogram(picks, count) {
  const values = new Array(count).fill(0);
  for (const pick of picks) values[Math.min(Math.floor(pick[3] * count), count - 1)] += 1;
  return values;
}

function drawHistogram() {
  const svg = element("histogram");
  bars(svg, histogram(tomograms.flatMap((own) => own.picks), BINS), 300, 110, state.threshold);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  line.setAttribute("class", "limit");
  const ends = { x1: 300 * state.threshold, x2: 300 * state.threshold, y1: 0, y2: 110 };
  for (const [name, number] of Object.entries(ends)) line.setAttribute(name, number.toFixed(2));
  svg.append(line);
}

function makeTable() {
  for (const own of tomograms) {
    const row = document.createElement("tr");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 70 20");
    own.cells = ["", "", ""].map(() => document.createElement("td"));
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = own.name;
    own.cells[0].append(button);
    own.cells[1].className = own.cells[2].className = "number";
    const last = document.createElement("td");
    last.append(svg);
    row.append(...own.cells, last);
    row.addEventListener("click", () => show(own.index));
    own.row = row;
    own.svg = svg;
    element("tomograms").append(row);
  }
}

const median = (values) => (values.length ? values[Math.floor(values.length / 2)] : NaN);
const share = (value) => (Number.isFinite(value) ? value.toFixed(2) : "-");

function writeCounts() {
  let [all, edits, hits, judged, particles] = [0, 0, 0, 0, 0];
  for (const own of tomograms) {
    const picks = own.chosen(state.threshold);
    const above = own.above(state.threshold);
    all += picks.length;
    edits += own.edits;
    own.cells[1].textContent = picks.length;
    own.cells[2].textContent = share(median(own.picks.slice(0, above).map((pick) => pick[3])));
    bars(own.svg, histogram(own.picks, 20), 70, 20, state.threshold);
    if (own.truth) {
      hits += own.found.slice(0, above).reduce((sum, found) => sum + found, 0);
      judged += above;
      particles += own.truth.length;
    }
    if (own === current()) element("count-here").textContent = picks.length;
  }
  element("count-all").textContent = all;
  element("count-edits").textContent = edits;
  element("judged").textContent = `${share(hits / judged)}, ${share(hits / particles)}`;
  if (about.expected) element("expected").textContent = expected(state.threshold).map(share).join(", ");
}

// Expected precision and recall above a threshold, interpolated.
function expected(threshold) {
  const { score, precision, recall } = about.expected;
  const upper = Math.min(Math.max(score.findIndex((value) => value > threshold), 1), score.length - 1);
  const last = threshold >= score[score.length - 1] ? score.length - 1 : upper;
  const part = (threshold - score[last - 1]) / (score[last] - score[last - 1]);
  const inside = Math.min(Math.max(part, 0), 1);
  return [precision, recall].map((values) => values[last - 1] + inside * (values[last] - values[last - 1]));
}

// ---- montages

let montages = 0;

async function drawMontages() {
  const number = ++montages;
  const all = tomograms.flatMap((own) => own.picks.map((pick, candidate) => ({ own, pick, candidate })));
  all.sort((one, other) => other.pick[3] - one.pick[3]);
  const chosen = all.filter(({ own, candidate }) => own.isPick(candidate, state.threshold));
  const distance = ({ own, pick }) => Math.abs(pick[3] - own.cut(state.threshold));
  const near = all.slice().sort((one, other) => distance(one) - distance(other)).slice(0, SHOWN);
  near.sort((one, other) => other.pick[3] - one.pick[3]);
  for (const [id, members] of [["best", chosen.slice(0, SHOWN)], ["borderline", near]]) {
    const made = [];
    for (const member of members) made.push(await closeUp(member));
    if (number !== montages) return;
    element(id).replaceChildren(...made);
  }
}

// A button with the surroundings of a candidate.
async function closeUp({ own, pick }) {
  const [x, y, z, score] = pick;
  const canvas = document.createElement("canvas");
  await drawCloseUp(canvas, own.volume, { x, y, z }, CLOSE_UP * own.radius);
  const button = document.createElement("button");
  button.type = "button";
  button.title = `${own.name}: ${x.toFixed(0)} ${y.toFixed(0)} ${z.toFixed(0)}`;
  const text = document.createElement("span");
  text.textContent = score.toFixed(2);
  button.append(canvas, text);
  button.addEventListener("click", () => {
    show(own.index, z);
    viewer.canvas.scrollIntoView({ block: "nearest" }); // on narrow screens it lies elsewhere
  });
  return button;
}

// ---- what a person does

function show(index, z = null) {
  state.shown = Math.min(Math.max(index, 0), tomograms.length - 1);
  const own = current();
  for (const other of tomograms) {
    if (other === own) other.row.setAttribute("aria-current", "true");
    else other.row.removeAttribute("aria-current");
  }
  element("name").textContent = own.name;
  element("levels").textContent = own.levels;
  element("said").replaceChildren(...own.said.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  reveal(own.row);
  for (const id of ["heat-label", "heat-key"]) element(id).hidden = !own.volume.heat;
  for (const id of ["truth-label", "truth-key"]) element(id).hidden = !own.truth;
  viewer.show(own.volume);
  element("slice").max = viewer.count - 1;
  viewer.goTo(z ?? own.size[2] / 2);
  writeCounts();
}

// Bring a row into the list's view; the page stays where it is.
function reveal(row) {
  const list = row.closest("section");
  const [top, bottom] = [row.offsetTop - list.offsetTop, row.offsetTop - list.offsetTop + row.offsetHeight];
  if (top < list.scrollTop) list.scrollTop = top;
  else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
}

let waiting = null;

// Pictures wait until the slider rests.
function drawMontagesSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(drawMontages, 150);
}

function setThreshold(value) {
  state.threshold = Math.min(Math.max(value, 0), 1);
  element("threshold").value = state.threshold;
  element("threshold-is").textContent = state.threshold.toFixed(3);
  writeCounts();
  drawHistogram();
  viewer.draw();
  drawMontagesSoon();
}

// What a click means: of the circles that hold it the one whose middle is nearest.
function clicked({ x, y }) {
  const own = current();
  const above = own.above(state.threshold);
  const others = element("others").checked;
  const shown = own.added.map((place, index) => ({ place, added: index }));
  own.picks.forEach((place, candidate) => {
    if (others || candidate < above || own.forced.has(candidate)) shown.push({ place, candidate });
  });
  let [best, closest] = [null, Infinity];
  for (const one of shown) {
    const away = Math.hypot(one.place[0] - x, one.place[1] - y);
    if (away > viewer.cut({ z: one.place[2], radius: own.radius }) || away >= closest) continue;
    [best, closest] = [one, away];
  }
  return best;
}

function edit({ x, y, z }) {
  if (!element("circles").checked) {
    element("circles").click(); // nothing is changed that is not seen
    return;
  }
  const own = current();
  const meant = clicked({ x, y });
  if (!meant) own.added.push([x, y, z]);
  else if (meant.added !== undefined) own.added.splice(meant.added, 1);
  else own.toggle(meant.candidate, state.threshold);
  own.saved = false;
  writeCounts();
  viewer.draw();
  drawMontagesSoon();
}

function save(name, lines) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const numbers = (values, digits) => values.map((value) => value.toFixed(digits));

function saveAll() {
  const lines = [["image_name", "x_coord", "y_coord", "z_coord", "score"].join("\t")];
  for (const own of tomograms) {
    for (const [x, y, z, score] of own.chosen(state.threshold)) {
      lines.push([own.name, ...numbers([x, y, z], 2), score.toFixed(6)].join("\t"));
    }
    own.saved = true;
  }
  save(`picks_above_${state.threshold.toFixed(3)}.tsv`, lines);
}

function saveThis() {
  const lines = [
    `# picks above ${state.threshold.toFixed(3)} and by hand; x, y, z in voxels of the full-resolution`,
    "# tomogram (z = thickness), centre of the first voxel at 0, whatever the file's axis order",
    "x,y,z,score",
  ];
  for (const [x, y, z, score] of current().chosen(state.threshold)) {
    lines.push([...numbers([x, y, z], 3), score.toFixed(6)].join(","));
  }
  save(`${current().name}.csv`, lines);
  current().saved = true;
}

const KEYS = {
  ArrowUp: () => viewer.go(viewer.slice + 1),
  ArrowDown: () => viewer.go(viewer.slice - 1),
  PageUp: () => viewer.go(viewer.slice + 5),
  PageDown: () => viewer.go(viewer.slice - 5),
  ArrowRight: () => show(state.shown + 1),
  ArrowLeft: () => show(state.shown - 1),
  "]": () => setThreshold(state.threshold + 0.01),
  "[": () => setThreshold(state.threshold - 0.01),
  "+": () => setThreshold(state.threshold + 0.01),
  "-": () => setThreshold(state.threshold - 0.01),
  c: () => element("circles").click(),
  b: () => element("others").click(),
  h: () => element("heat").click(),
  t: () => current().truth && element("truth").click(),
};

// Keys that move the page elsewhere belong to the slice; letters count wherever nothing is typed.
document.addEventListener("keydown", (event) => {
  const action = KEYS[event.key];
  const onSlice = event.target === viewer.canvas;
  const modified = event.ctrlKey || event.metaKey || event.altKey;
  const printed = event.key.length === 1;
  if (!action || (!printed && !onSlice) || (modified && !"[]".includes(event.key))) return; // AltGr makes brackets
  event.preventDefault();
  action();
});

viewer.addEventListener("slice", () => {
  element("slice").value = viewer.slice;
  element("slice-is").textContent = viewer.middle().toFixed(0);
});
viewer.addEventListener("place", (event) => edit(event.detail));
element("slice").addEventListener("input", (event) => viewer.go(Number(event.target.value)));
element("threshold").addEventListener("input", (event) => setThreshold(Number(event.target.value)));
for (const id of ["circles", "others", "truth"]) element(id).addEventListener("change", () => viewer.draw());
element("heat").addEventListener("change", (event) => {
  viewer.showHeat = event.target.checked;
  viewer.draw();
});
element("download-all").addEventListener("click", saveAll);
element("download-here").addEventListener("click", saveThis);
window.addEventListener("beforeunload", (event) => {
  if (tomograms.some((own) => !own.saved)) event.preventDefault();
});

document.body.classList.toggle("without-expected", !about.expected);
document.body.classList.toggle("without-judged", !about.judged);
makeTable();
show(0);
setThreshold(state.threshold);
viewer.canvas.focus({ preventScroll: true });
