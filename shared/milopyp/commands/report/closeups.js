// The best picks of all tomograms and those nearest to the threshold, as small pictures.

const SHOWN = 12; // pictures in a montage
const CLOSE_UP = 2.5; // radii from the middle of one to its edges
const PIXELS = 96;

let montages = 0;
let waiting = null;

// Pictures wait until the slider rests. `choose` is told which one is clicked: a tomogram and its candidate.
function drawMontagesSoon(threshold, choose) {
  clearTimeout(waiting);
  waiting = setTimeout(() => drawMontages(threshold, choose), 150);
}

async function drawMontages(threshold, choose) {
  const number = ++montages;
  const all = run.tomograms.flatMap((own) => own.picks.map((pick, candidate) => ({ own, pick, candidate })));
  all.sort((one, other) => other.pick[3] - one.pick[3]);
  const chosen = all.filter(({ own, candidate }) => own.isPick(candidate, threshold));
  const distance = ({ own, pick }) => Math.abs(pick[3] - own.cut(threshold));
  const near = all.slice().sort((one, other) => distance(one) - distance(other)).slice(0, SHOWN);
  near.sort((one, other) => other.pick[3] - one.pick[3]);
  for (const [id, members] of [["best", chosen.slice(0, SHOWN)], ["borderline", near]]) {
    const made = [];
    for (const member of members) made.push(await closeUp(member, threshold, choose));
    if (number !== montages) return;
    replace(element(id), made);
  }
}

// Other buttons in a box; the focus stays on the one of that name, or at its place.
function replace(box, made) {
  const before = [...box.children].indexOf(document.activeElement);
  const { title } = document.activeElement;
  box.replaceChildren(...made);
  if (before >= 0) (made.find((button) => button.title === title) ?? made[before] ?? made.at(-1))?.focus();
}

// A button with the surroundings of a candidate.
async function closeUp({ own, pick, candidate }, threshold, choose) {
  const [x, y, z, score] = pick;
  const canvas = document.createElement("canvas");
  drawPicture(canvas, await own.source.closeUp({ x, y, z }, CLOSE_UP * own.radius), PIXELS);
  const button = document.createElement("button");
  button.type = "button";
  button.title = `${own.name}: ${x.toFixed(0)} ${y.toFixed(0)} ${z.toFixed(0)}`;
  const state = own.isPick(candidate, threshold) ? "picked" : "not picked";
  button.setAttribute("aria-label", `score ${score.toFixed(2)}, ${state}, ${button.title}`);
  const text = document.createElement("span");
  text.textContent = score.toFixed(2);
  button.append(canvas, text);
  button.classList.toggle("without", state !== "picked");
  button.addEventListener("click", () => choose(own, candidate));
  return button;
}
