"use strict";

// Section 2: the score above which suggestions count, and the doubtful ones, one after the other.
class Suggestions {
  static BINS = 49;
  #skipped = new Set();
  #asked = 0;

  constructor(session, seek) {
    Object.assign(this, { session, seek });
    for (const name of ["suggestions", "labels"]) session.addEventListener(name, () => this.#write());
    session.addEventListener("state", () => this.#progress());
    for (const name of ["tomogram", "species"]) session.addEventListener(name, () => this.#write());
    session.addEventListener("selected", () => this.#selected());
    const click = (id, act) => element(id).addEventListener("click", act);
    element("score").addEventListener("input", (event) => (session.score = Number(event.target.value)));
    click("score-reset", () => (session.score = null));
    click("doubtful-next", () => this.next());
    click("doubtful-yes", () => this.answer(1));
    click("doubtful-no", () => this.answer(0));
    click("doubtful-skip", () => this.skip());
    click("histogram", (event) => (session.score = event.offsetX / event.target.clientWidth));
    new ResizeObserver(() => this.#histogram()).observe(element("histogram"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#histogram());
  }

  next() {
    const { session } = this;
    let [best, least] = [null, Infinity];
    for (const one of session.open) {
      const doubt = session.doubt(one);
      if (doubt < least && !this.#skipped.has(numbersOf(one))) [best, least] = [one, doubt];
    }
    if (best) {
      session.select(best);
      this.seek(best);
      session.say(`Is this a ${session.several ? session.classes[best.species].name : "particle"}? Score ${best.score.toFixed(2)}`);
    } else {
      this.#skipped.clear();
      if (session.doubted) session.select(null);
      session.say("No more suggestions here");
    }
  }

  // After it comes the next one.
  answer(kind) {
    const { session } = this;
    const { doubted } = session;
    if (!doubted) return session.say("Nothing is being asked: d brings the next doubtful suggestion");
    session.settle([doubted], kind);
    return this.next();
  }

  skip() {
    const { doubted } = this.session;
    if (!doubted) return;
    this.#skipped.add(numbersOf(doubted));
    this.next();
  }

  // ---- what is seen

  #progress() {
    const { session } = this;
    const { features, error } = session.own;
    const none = element("suggestions-none");
    const there = session.suggestions.some(({ species }) => species === session.species);
    element("suggestions").hidden = !there;
    none.hidden = there;
    if (none.hidden) return;
    const clicked = session.state.tomograms.some((own) => own.labels.some((label) => label[5] === session.species));
    if (error) none.textContent = "None: the tomogram cannot be read.";
    else if (features !== null && features < 1) none.textContent = `Reading the tomogram, ${Math.round(100 * features)} %`;
    else if (session.state.apart) none.textContent = "None: the sizes are too far apart.";
    else if (!clicked) none.textContent = "They appear a moment after your first clicks.";
    else none.textContent = session.own.current ? "None." : "They are on their way.";
  }

  #write() {
    const { session } = this;
    const { score, open } = session;
    const above = open.filter((one) => one.score > score).length;
    element("score").value = score;
    element("score-is").textContent = score.toFixed(2);
    element("score-reset").hidden = session.chosenScores[session.species] === null;
    const whose = session.several ? `${session.species + 1}: ` : "";
    element("suggestion-count").textContent = open.length ? `${whose}${above} here` : "";
    this.#progress();
    this.#histogram();
    this.#selected();
  }

  #histogram() {
    const canvas = element("histogram");
    const [wide, high] = [canvas.clientWidth, canvas.clientHeight];
    if (!wide || !this.session.state) return;
    const dots = window.devicePixelRatio;
    Object.assign(canvas, { width: wide * dots, height: high * dots });
    const context = canvas.getContext("2d");
    context.scale(dots, dots);
    const { BINS } = Suggestions;
    const counts = new Array(BINS).fill(0);
    for (const { score } of this.session.open) counts[Math.min(Math.floor(score * BINS), BINS - 1)] += 1;
    const most = Math.sqrt(Math.max(...counts, 1));
    const style = getComputedStyle(canvas);
    const [accent, quiet, raised] = ["--accent", "--line", "--raised"].map((name) => style.getPropertyValue(name));
    context.fillStyle = raised;
    context.fillRect(0, 0, wide, high);
    counts.forEach((count, bin) => {
      const tall = (Math.sqrt(count) / most) * (high - 4); // roots: the few good ones are seen beside the many
      context.fillStyle = (bin + 1) / BINS > this.session.score ? accent : quiet;
      context.fillRect((bin * wide) / BINS, high - tall, wide / BINS - 1, tall);
    });
    context.fillStyle = style.color;
    context.fillRect(this.session.score * wide - 0.5, 0, 1.5, high);
  }

  #selected() {
    const { doubted } = this.session;
    for (const id of ["doubtful-yes", "doubtful-no", "doubtful-skip"]) element(id).disabled = !doubted;
    const name = this.session.several && doubted ? this.session.classes[doubted.species].name : "particle";
    element("doubtful-is").textContent = doubted ? `A ${name}? Score ${doubted.score.toFixed(2)}` : "The nearest to the score:";
    element("doubtful").classList.toggle("asking", Boolean(doubted));
    this.#closeUp(doubted);
  }

  async #closeUp(one) {
    const number = ++this.#asked;
    const canvas = element("doubtful-picture");
    canvas.hidden = !one;
    if (!one) return;
    const [picture] = await closeUps(this.session, [one]).catch(() => []);
    if (picture && number === this.#asked) drawCloseUp(canvas, picture, this.session);
  }
}

// With a thin circle of the size of the class's particles, in its colour.
function drawCloseUp(canvas, picture, session) {
  const { diameter } = session;
  const { colour = COLOUR.suggested } = session.look(session.species);
  drawPicture(canvas, picture, picture.w);
  const context = canvas.getContext("2d");
  context.beginPath();
  context.arc(picture.w / 2, picture.h / 2, ((diameter / 2 / picture.reach) * picture.w) / 2, 0, 2 * Math.PI);
  context.strokeStyle = colour;
  context.globalAlpha = 0.65;
  context.stroke();
}

// Pictures of places of the tomogram that is shown: [{w, h, grey, reach: voxels from the middle to an edge}].
async function closeUps(session, places) {
  const pixels = 96;
  const body = {
    tomogram: session.index,
    places: places.map(({ x, y, z }) => [x, y, z]),
    reach: Math.min(1.25 * session.diameter, 1000),
    pixels,
  };
  let response = await session.link.answer("/api/closeups", { body });
  while (response.status === 202 && session.index === body.tomogram) {
    await new Promise((done) => setTimeout(done, 300)); // they are cut from the copy that XZ and YZ wait for, too
    response = await session.link.answer("/api/closeups", { body });
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  const each = pixels * pixels;
  const { reach } = body;
  return places.map((_, at) => ({ w: pixels, h: pixels, grey: bytes.subarray(at * each, (at + 1) * each), reach }));
}
