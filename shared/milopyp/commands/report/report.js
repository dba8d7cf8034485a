// The page of `milopyp report`: what is shown, and what a person does. The other scripts stand before it.

const element = (id) => document.getElementById(id);
const read = (id) => JSON.parse(element(id).textContent);
const RING = 1.3; // radius around what is looked at, in those of a particle

const runs = read("runs").map((facts, number) => new Run(facts, number)); // one for each class
let run = runs[0]; // the class that is looked at
const canvases = Object.fromEntries([..."zyx"].map((axis) => [axis, element(`plane-${axis}`)]));
const viewer = new LinkedViewer(canvases);
// looked: what a person went to last: {candidate} or {place} of the tomogram that is shown, or null
const state = { shown: null, looked: null };
const current = () => run.tomograms[state.shown];
const say = (text) => (element("status").textContent = run.name && text ? `${run.name}: ${text}` : text);

// ---- what is drawn

// All that a click can mean, as it is shown: {x, y, z, candidate or place, ...}.
function shownSpheres(own) {
  const above = own.above(run.threshold);
  const spheres = [];
  own.picks.forEach((pick, candidate) => {
    const forced = own.forced.get(candidate);
    const look = forced ? "hand" : forced === false ? "removed" : candidate < above ? "pick" : "other";
    if (!element("circles").checked || (look === "other" && !element("others").checked)) {
      if (candidate !== state.looked?.candidate) return; // what is looked at is seen whatever is hidden
    }
    spheres.push({ ...sphere(own, pick, look), candidate });
  });
  if (element("circles").checked) {
    for (const place of own.added) spheres.push({ ...sphere(own, place, "hand"), place });
  }
  return spheres;
}

// Picks of the classes that are not looked at, which no click means.
function otherSpheres() {
  if (!element("circles").checked || !element("all")?.checked) return [];
  return runs.filter((other) => other !== run).flatMap(({ tomograms, threshold }) => {
    const own = tomograms[state.shown];
    return own.chosen(threshold).map((place) => ({ ...sphere(own, place, "pick"), width: THIN, passive: true }));
  });
}

const sphere = (own, [x, y, z], look) => ({ x, y, z, radius: own.radius, ...own.run.looks[look] });

viewer.spheres = () => {
  const own = current();
  const truth = element("truth").checked ? (own.truth ?? []) : [];
  const ring = state.looked ? [{ ...sphere(own, placeOf(own, state.looked), "ring"), radius: RING * own.radius }] : [];
  return [...otherSpheres(), ...truth.map((place) => sphere(own, place, "truth")), ...shownSpheres(own), ...ring];
};

const placeOf = (own, { candidate, place }) => place ?? own.picks[candidate];

// Canvases as large as their slices need them, a thin volume's a little larger.
function arrange() {
  const [x, y, z] = current().size;
  const beside = element("sides").checked;
  const thick = beside ? Math.min(Math.max(z, 0.2 * Math.max(x, y)), 0.6 * Math.min(x, y)) : 0;
  for (const axis of "xy") canvases[axis].hidden = !beside;
  const { style } = element("planes");
  style.setProperty("--ratio", (x + thick) / (y + thick));
  const tracks = (length) => (beside ? `minmax(0, ${length}fr) minmax(0, ${thick}fr)` : "minmax(0, 1fr)");
  style.gridTemplate = `${tracks(y)} / ${tracks(x)}`;
}

// ---- what a person looks at

function show(index, place = {}, looked = null) {
  const before = state.shown;
  state.shown = Math.min(Math.max(index, 0), run.tomograms.length - 1);
  state.looked = looked;
  const own = current();
  writeLooked();
  if (before === state.shown) return viewer.go(place);
  for (const [number, { row }] of rows.entries()) {
    if (number === state.shown) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
  reveal(rows[state.shown].row);
  element("slice").max = own.source.encoded.length - 1;
  writeTomogram(own);
  writeCounts(run.threshold, own);
  writeLegend();
  arrange();
  return viewer.show({ size: own.size, source: own.source, heat: own.heat, voxel: own.voxel }, place);
}

// What is known of the tomogram, in this class.
function writeTomogram(own) {
  element("name").textContent = own.name;
  element("levels").textContent = own.levels;
  const said = own.said.map((text) => Object.assign(document.createElement("li"), { textContent: text }));
  element("said").replaceChildren(...said);
  for (const id of ["heat-label", "heat-key"]) element(id).hidden = !own.heat;
  for (const id of ["truth-label", "truth-key"]) element(id).hidden = !own.truth;
}

// To a candidate or a place that was added, marked by a ring.
function look(own, looked) {
  const [x, y, z] = placeOf(own, looked);
  show(own.index, { x, y, z }, looked);
  canvases.z.scrollIntoView({ block: "nearest" }); // on narrow screens it lies elsewhere
  say(described(own, looked));
}

function described(own, { candidate, place }) {
  const where = `at ${placeOf(own, { candidate, place }).slice(0, 3).map((value) => value.toFixed(0)).join(", ")}`;
  if (place) return `Added by hand ${where}.`;
  const forced = own.forced.get(candidate);
  const is = own.isPick(candidate, run.threshold);
  const how = forced === undefined ? (is ? "picked" : "below the threshold") : forced ? "taken in" : "taken out";
  return `Candidate ${candidate + 1} of ${own.picks.length}, score ${own.picks[candidate][3].toFixed(3)}, ${how}, ${where}.`;
}

// To the next of the circles that are shown, the best first, those by hand last.
function step(count) {
  const own = current();
  const stops = shownSpheres(own);
  if (!stops.length) return say("No circles are shown here.");
  const { candidate, place } = state.looked ?? {};
  const at = stops.findIndex((stop) => (place ? stop.place === place : stop.candidate === candidate && !stop.place));
  const next = state.looked && at >= 0 ? at + count : count > 0 ? 0 : -1;
  return look(own, stops[(next + stops.length) % stops.length]);
}

// Bring a row into the list's view; the page stays where it is.
function reveal(row) {
  const list = row.closest("section");
  const [top, bottom] = [row.offsetTop - list.offsetTop, row.offsetTop - list.offsetTop + row.offsetHeight];
  if (top < list.scrollTop) list.scrollTop = top;
  else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
}

function writeLooked() {
  const { looked } = state;
  const is = looked && (looked.place || current().isPick(looked.candidate, run.threshold));
  element("toggle").textContent = looked && !is ? "Take in" : "Take out";
  enable("toggle", looked);
}

// A button that can do nothing now keeps the focus, and says so when it is pressed.
const enable = (id, can) => element(id).setAttribute("aria-disabled", !can);

function setThreshold(value) {
  run.threshold = Math.min(Math.max(value, 0), 1);
  element("threshold").value = run.threshold;
  element("threshold-is").textContent = run.threshold.toFixed(3);
  drawHistogram(run.threshold);
  refresh();
}

// After edits or another threshold.
function refresh() {
  writeCounts(run.threshold, current());
  writeLegend();
  writeLooked();
  writeEdits();
  viewer.paintSoon();
  drawMontagesSoon(run.threshold, (own, candidate) => look(own, { candidate }));
}

function writeEdits() {
  const { edits } = run;
  enable("undo", edits.canUndo);
  enable("redo", edits.canRedo);
  enable("forget", edits.canForget);
  const kept = edits.canForget ? "Your edits are kept in this browser." : "";
  element("kept").textContent = run.store.refused ? "This browser keeps no edits: save before you leave." : kept;
}

// ---- what a person changes

// A click, or what stands for one: take a circle out or in, or add one where there is none.
function edit({ x, y, z, sphere: meant }) {
  if (!element("circles").checked && !meant) {
    element("circles").click(); // nothing is changed that is not seen
    return;
  }
  const own = current();
  if (!meant) change({ tomogram: own.index, place: [x, y, z], added: true });
  else if (meant.place) change({ tomogram: own.index, place: meant.place, added: false });
  else change(own.toggled(meant.candidate, run.threshold));
}

// What is looked at out, or in again.
function toggle() {
  if (!state.looked) return say("Go to a pick first.");
  const { candidate, place } = state.looked;
  return edit({ sphere: { candidate, place } });
}

function forget() {
  if (!run.edits.canForget) return say("There are no edits.");
  return change({ forget: true });
}

function change(what) {
  run.edits.do(what);
  if (what.place && state.looked?.place) state.looked = null; // it may be gone
  refresh();
  say(`${told(what)} ${current().count(run.threshold)} picks here.`);
}

// In words, after it was done.
function told({ forget, tomogram, candidate, place, added }) {
  if (forget) return "All edits are forgotten; undo brings them back.";
  const own = run.tomograms[tomogram];
  const [x, y, z] = placeOf(own, { candidate, place }).map((value) => value.toFixed(0));
  if (place) return `${added ? "Added a pick" : "Took out the pick that was added"} at ${x}, ${y}, ${z}.`;
  const score = own.picks[candidate][3].toFixed(3);
  return `Took ${own.isPick(candidate, run.threshold) ? "in" : "out"} the candidate at ${x}, ${y}, ${z}, score ${score}.`;
}

// One step back or forth, and to where it was.
function travel(what, word) {
  if (!what) return say(`Nothing to ${word}.`);
  if (!what.forget) {
    const own = run.tomograms[what.tomogram];
    const [x, y, z] = placeOf(own, what);
    const isThere = !what.place || own.added.includes(what.place);
    show(own.index, { x, y, z }, isThere ? what : null);
  }
  refresh();
  const own = what.forget ? "Forgetting all edits" : `Edit at ${placeOf(current(), what).slice(0, 3).map(Math.round).join(", ")}`;
  return say(`${own} ${word === "undo" ? "undone" : "done again"}. ${current().count(run.threshold)} picks here.`);
}

const undo = () => travel(run.edits.undo(), "undo");
const redo = () => travel(run.edits.redo(), "redo");

// ---- mouse and buttons

function reset() {
  viewer.contrast(0, 255);
  viewer.refit();
}

viewer.addEventListener("slice", () => {
  const { middle } = viewer.slice("z");
  const { thickness } = current();
  element("slice").value = Math.floor((middle + 0.5) / thickness);
  element("slice-is").textContent = middle.toFixed(0);
});
viewer.addEventListener("contrast", () => {
  element("black").value = viewer.black;
  element("white").value = viewer.white;
});
viewer.addEventListener("place", (event) => edit(event.detail));

const on = (id, event, action) => element(id).addEventListener(event, action);
on("slice", "input", ({ target }) => viewer.go({ z: (Number(target.value) + 0.5) * current().thickness - 0.5 }));
for (const id of ["black", "white"]) {
  on(id, "input", () => viewer.contrast(Number(element("black").value), Number(element("white").value)));
}
on("threshold", "input", ({ target }) => setThreshold(Number(target.value)));
for (const id of ["circles", "others", "truth"]) on(id, "change", () => viewer.paintSoon());
on("heat", "change", ({ target }) => {
  viewer.showHeat = target.checked;
  viewer.draw();
});
on("sides", "change", () => {
  arrange();
  if (document.activeElement.hidden) canvases.z.focus();
  viewer.draw();
});
on("reset", "click", reset);
on("previous", "click", () => step(-1));
on("next", "click", () => step(1));
on("toggle", "click", toggle);
on("undo", "click", undo);
on("redo", "click", redo);
on("forget", "click", forget);
on("download-all", "click", saveAll);
on("download-here", "click", saveThis);
window.addEventListener("beforeunload", (event) => {
  const lost = ({ store, tomograms }) => store.refused && tomograms.some((own) => !own.saved);
  if (runs.some(lost)) event.preventDefault();
});
window.addEventListener("storage", ({ key }) => {
  const changed = runs.find(({ store }) => store.key === key);
  if (!changed) return;
  changed.edits.restore(); // another window with this page has done it
  show(state.shown);
  refresh();
});

element("all")?.addEventListener("change", () => viewer.paintSoon());

makeLegend();
makeTable((index) => show(index));
show(0);
choose(0);
say("");
canvases.z.focus({ preventScroll: true });
if (runs.some(({ edits }) => edits.canUndo)) say("Your edits of last time are here again.");
