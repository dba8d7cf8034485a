// Numbers of the page and their pictures: scores, counts, what is expected of a threshold and what is true.

const BINS = 50;

function svgElement(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

// Values as bars, their roots as heights; those above the threshold in colour.
function bars(svg, values, width, height, threshold) {
  const highest = Math.sqrt(Math.max(...values, 1));
  const step = width / values.length;
  const made = values.map((value, index) => {
    const tall = (Math.sqrt(value) / highest) * height;
    const place = { x: index * step, y: height - tall, width: step * 0.9, height: tall };
    const rounded = Object.entries(place).map(([name, number]) => [name, number.toFixed(2)]);
    const above = (index + 1) / values.length > threshold;
    return svgElement("rect", { ...Object.fromEntries(rounded), class: above ? "bar above" : "bar" });
  });
  svg.replaceChildren(...made);
}

function histogram(picks, count) {
  const values = new Array(count).fill(0);
  for (const pick of picks) values[Math.min(Math.floor(pick[3] * count), count - 1)] += 1;
  return values;
}

function drawHistogram(threshold) {
  const svg = element("histogram");
  bars(svg, histogram(run.tomograms.flatMap((own) => own.picks), BINS), 300, 110, threshold);
  const x = (300 * threshold).toFixed(2);
  svg.append(svgElement("line", { class: "limit", x1: x, x2: x, y1: 0, y2: 110 }));
}

// The table of tomograms; `choose` is told which one is clicked.
const rows = []; // {row, cells, svg}

function makeTable(choose) {
  for (const { name, index } of run.tomograms) {
    const row = document.createElement("tr");
    const cells = ["", "", ""].map(() => document.createElement("td"));
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    cells[0].append(button);
    cells[1].className = cells[2].className = "number";
    const svg = svgElement("svg", { viewBox: "0 0 70 20", "aria-hidden": "true" });
    const last = document.createElement("td");
    last.append(svg);
    row.append(...cells, last);
    row.addEventListener("click", () => choose(index));
    rows.push({ row, cells, svg });
    element("tomograms").append(row);
  }
}

const median = (values) => (values.length ? values[Math.floor(values.length / 2)] : NaN);
const share = (value) => (Number.isFinite(value) ? value.toFixed(2) : "-");

function writeCounts(threshold, here) {
  let [all, changes, hits, judged, particles] = [0, 0, 0, 0, 0];
  for (const own of run.tomograms) {
    const { cells, svg } = rows[own.index];
    const picks = own.chosen(threshold);
    const above = own.above(threshold);
    all += picks.length;
    changes += own.edits;
    cells[1].textContent = picks.length;
    cells[2].textContent = share(median(own.picks.slice(0, above).map((pick) => pick[3])));
    bars(svg, histogram(own.picks, 20), 70, 20, threshold);
    if (own.truth) {
      hits += own.found.slice(0, above).reduce((sum, found) => sum + found, 0);
      judged += above;
      particles += own.truth.length;
    }
    if (own === here) element("count-here").textContent = picks.length;
  }
  element("count-all").textContent = all;
  element("count-edits").textContent = changes;
  element("judged").textContent = `${share(hits / judged)}, ${share(hits / particles)}`;
  if (run.expected) element("expected").textContent = expected(threshold).map(share).join(", ");
}

// Expected precision and recall above a threshold, interpolated.
function expected(threshold) {
  const { score, precision, recall } = run.expected;
  const upper = Math.min(Math.max(score.findIndex((value) => value > threshold), 1), score.length - 1);
  const last = threshold >= score[score.length - 1] ? score.length - 1 : upper;
  const part = (threshold - score[last - 1]) / (score[last] - score[last - 1]);
  const inside = Math.min(Math.max(part, 0), 1);
  return [precision, recall].map((values) => values[last - 1] + inside * (values[last] - values[last - 1]));
}
