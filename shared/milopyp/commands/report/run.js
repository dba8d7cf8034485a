// A class of particles in all tomograms of the page: its candidates, threshold and edits. A page of one class has one
// of these, without a name and in the page's own colours.
class Run {
  constructor(facts, number) {
    Object.assign(this, facts);
    this.number = number;
    this.tomograms = facts.tomograms.map((own, index) => new Tomogram(own, index, this));
    this.store = new Store(`milopyp report ${facts.identity}`);
    this.edits = new Edits(this.tomograms, this.store);
    const own = facts.name ? { ...lookOf(number, facts.colour), width: 2.5 } : null;
    this.looks = { ...LOOKS, ...(own && { pick: own, hand: { ...own, mark: "dot" } }) };
  }

  // Picks of all tomograms.
  get count() {
    return this.tomograms.reduce((sum, own) => sum + own.count(this.threshold), 0);
  }
}

const LOOKS = {
  pick: { colour: "#27e0a3" },
  hand: { colour: "#5eb1ff", mark: "dot" },
  removed: { colour: "#ff7b7b", dashed: true, mark: "cross" },
  other: { colour: "#ffffff", dashed: true },
  truth: { colour: "#ffd84d", dashed: true, mark: "plus", passive: true },
  ring: { colour: "#ffffff", passive: true }, // around what is looked at
};

const THIN = 1.5; // lines of the classes that are not looked at

const pictures = []; // by tomogram: {grey, heats by class}, parsed when it is first looked at

function picturesOf({ index, size, thickness }) {
  if (!pictures[index]) {
    const { grey, heats } = read(`pictures-${index}`);
    const embedded = (own) => own && new Embedded(own, size, thickness);
    pictures[index] = { grey: embedded(grey), heats: heats.map(embedded) };
  }
  return pictures[index];
}

// Another class: threshold, scores, close-ups, heat map and clicks are its own.
function choose(number) {
  run = runs[number];
  state.looked = null;
  document.body.classList.toggle("without-expected", !run.expected);
  document.body.classList.toggle("without-judged", !run.judged);
  for (const own of document.querySelectorAll("[data-run]")) own.hidden = Number(own.dataset.run) !== number;
  for (const canvas of document.querySelectorAll("[data-look]")) drawSwatch(canvas, run.looks[canvas.dataset.look]);
  writeTomogram(current());
  viewer.changeHeat(current().heat);
  setThreshold(run.threshold);
  if (run.name) say(`${run.count} picks, ${current().count(run.threshold)} here.`);
}

// ---- the legend of a page of several classes; there is none on that of one

const legend = () => [...document.querySelectorAll("#classes tr")].entries();

function makeLegend() {
  for (const [number, row] of legend()) {
    drawSwatch(row.querySelector("canvas"), runs[number].looks.pick);
    row.addEventListener("change", () => choose(number));
  }
}

function writeLegend() {
  for (const [number, row] of legend()) {
    const own = runs[number];
    row.querySelector("input").checked = own === run;
    const cells = [own.tomograms[state.shown].count(own.threshold), own.count, own.threshold.toFixed(2)];
    row.querySelectorAll(".number").forEach((cell, index) => (cell.textContent = cells[index]));
  }
}
