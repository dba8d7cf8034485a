"use strict";

const METHODS = {
  learn: "quick: seconds",
  train: "thorough: minutes",
};
const DOING = { train: "training", learn: "learning", pick: "picking" };

// Of a job that is over.
const outcome = ({ state, text, made }) => (state === "done" ? text || made || state : state);

// Section 3: train, pick, and how that goes.
class Jobs {
  #known = new Map(); // number -> {line: element, state}
  #options = new Map(); // select -> what it offers, as text

  constructor(session) {
    this.session = session;
    session.addEventListener("state", () => this.#write());
    element("train").addEventListener("click", () => this.train());
    element("pick").addEventListener("click", () => this.pick());
    element("method").addEventListener("change", ({ target }) => session.memory.set("method", target.value));
    session.addEventListener("suggestions", () => this.#writePicking());
    element("model").addEventListener("change", ({ target }) => {
      this.#start("/api/source", { model: target.value || null }, `Suggestions of ${target.selectedOptions[0].text}`);
    });
    window.addEventListener("pagehide", () => {
      session.link.ask("/api/leave", { body: { keep: element("keep").checked }, keepalive: true }).catch(() => {});
    });
  }

  train() {
    if (element("train").disabled) return this.session.say("Nothing to train from yet, or a run is at work");
    return this.#start("/api/train", { method: element("method").value }, "Training has begun");
  }

  pick() {
    const { session } = this;
    if (element("pick").disabled) return session.say("No model to pick with yet, or a run is at work");
    const which = element("pick-which").value;
    const readable = session.state.tomograms.filter((own) => !own.error).map((own) => own.index);
    const tomograms = which === "all" ? readable : [session.index];
    return this.#start("/api/pick", { tomograms, scores: session.chosenScores }, "Picking has begun");
  }

  async #start(path, body, said) {
    try {
      await this.session.link.json(path, { body });
      this.session.say(said);
    } catch (error) {
      this.session.say(`Not done: ${error.message}`);
    }
  }

  #write() {
    const { jobs, tomograms, model, models, sources, method, methods } = this.session.state;
    const running = jobs.some((job) => job.state === "running");
    const labelled = tomograms.some((own) => own.labels.some((label) => label[4]));
    element("train").disabled = running || !labelled;
    element("pick").disabled = running || !models.length;
    element("none-made").textContent = labelled && !models.length ? "Training makes a model, which then picks." : "";
    element("keep-label").hidden = !running;
    element("source").hidden = !sources.length;
    element("source-says").hidden = !model;
    element("source-says").textContent = `${model}’s own: clicks change them with the next training`;
    element("method").disabled = methods.length < 2;
    const all = tomograms.length > 1 ? `all ${tomograms.length} tomograms` : "this tomogram";
    const before = this.session.memory.get("method");
    this.#offer("method", methods.map((own) => [own, METHODS[own]]), methods.includes(before) ? before : method);
    this.#offer("pick-which", tomograms.length > 1 ? [["all", all], ["one", "only this one"]] : [["all", all]], "all");
    this.#offer("model", [["", "the clicks"], ...sources.map((name) => [name, name])], model ?? "");
    element("model").value = model ?? "";
    this.#writePicking();
    this.#list(jobs);
  }

  // What the button would use.
  #writePicking() {
    const { picking } = this.session.state;
    element("picking").hidden = !picking;
    if (!picking) return;
    element("picking").textContent = `with ${picking.model}, above ${this.#scores(picking.scores) || "its own score"}`;
  }

  // What a person has chosen, or else what the model suggests: of each of its classes.
  #scores(suggested) {
    const { classes, chosenScores } = this.session;
    const known = new Map(suggested);
    classes.forEach(({ name }, species) => {
      const key = !species && known.has("") ? "" : name; // the model may be older than the names
      const chosen = chosenScores[species];
      if (chosen !== null && (known.has(key) || !suggested.length)) known.set(key, chosen);
    });
    return [...known].map(([name, score]) => `${name && `${name} `}${score.toFixed(2)}`).join(", ");
  }

  // The options of a select, [value, text] each, unless it has them.
  #offer(id, options, value) {
    const known = JSON.stringify(options);
    if (this.#options.get(id) === known) return;
    this.#options.set(id, known);
    const select = element(id);
    select.replaceChildren(...options.map(([own, text]) => new Option(text, own)));
    select.value = value;
  }

  #list(jobs) {
    const list = element("jobs");
    for (const job of jobs) {
      const known = this.#known.get(job.number);
      if (known?.state === "running" && job.state !== "running") this.session.say(`${job.name}: ${outcome(job)}`);
      const line = known?.line ?? this.#line(job);
      if (!known) list.prepend(line.whole);
      this.#update(line, job);
      if (job.state === "failed" && known?.state !== "failed") line.more.open = true;
      this.#known.set(job.number, { line, state: job.state });
    }
  }

  #line({ number }) {
    const make = (name, facts = {}) => Object.assign(document.createElement(name), facts);
    const line = {
      whole: make("li"),
      name: make("b"),
      text: make("span"),
      bar: make("progress", { max: 1 }),
      stop: make("button", { type: "button", className: "small", textContent: "Stop" }),
      more: make("details"),
      command: make("pre"),
    };
    line.stop.addEventListener("click", () => this.#start("/api/stop", { number }, "Stopping"));
    line.more.append(make("summary", { textContent: "command" }), line.command);
    const row = make("div", { className: "row" });
    row.append(line.name, line.text, line.stop);
    line.whole.append(row, line.bar, line.more);
    return line;
  }

  #update(line, job) {
    const running = job.state === "running";
    line.whole.dataset.state = job.state;
    line.name.textContent = job.name;
    line.stop.setAttribute("aria-label", `Stop ${job.name}`);
    line.bar.setAttribute("aria-label", `${DOING[job.kind]} ${job.name}`);
    line.text.textContent = running ? job.text || DOING[job.kind] : outcome(job);
    line.text.title = job.made ?? "";
    line.bar.hidden = line.stop.hidden = !running;
    if (job.share === null) line.bar.removeAttribute("value");
    else line.bar.value = job.share;
    line.command.textContent = job.log ? `${job.line}\n\n${job.log}` : job.line;
  }
}
