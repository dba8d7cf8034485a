"use strict";

const METHODS = {
  learn: "quick: seconds",
  train: "thorough: minutes to hours",
};
const DOING = { train: "training", learn: "learning", pick: "picking" };

// Section 3: train, pick, and how that goes.
class Jobs {
  #known = new Map(); // number -> {line: element, state}
  #methods = "";
  #names = "";

  constructor(session) {
    this.session = session;
    session.addEventListener("state", () => this.#write());
    element("train").addEventListener("click", () => this.train());
    element("pick").addEventListener("click", () => this.pick());
    window.addEventListener("pagehide", () => {
      session.link.ask("/api/leave", { body: { keep: element("keep").checked }, keepalive: true }).catch(() => {});
    });
  }

  train() {
    return this.#start("/api/train", { method: element("method").value }, "Training has begun");
  }

  pick() {
    const { session } = this;
    const which = element("pick-which").value;
    const readable = session.state.tomograms.filter((own) => !own.error).map((own) => own.index);
    const tomograms = which === "all" ? readable : [session.index];
    return this.#start("/api/pick", { tomograms, score: session.chosenScore }, "Picking has begun");
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
    const { state } = this.session;
    const running = state.jobs.some((job) => job.state === "running");
    const trains = state.jobs.some((job) => job.state === "running" && job.kind !== "pick");
    const labelled = state.tomograms.some((own) => own.labels.some((label) => label[4]));
    element("train").disabled = trains || !labelled;
    element("pick").disabled = running || !state.model;
    element("model").textContent = state.model
      ? `Suggestions and picks come from ${state.model}.`
      : labelled ? "Suggestions come from your clicks. Training makes a model that picks." : "";
    element("keep-label").hidden = !running;
    this.#options(state);
    this.#list(state.jobs);
  }

  #options({ methods, method, tomograms }) {
    if (this.#methods !== methods.join()) {
      this.#methods = methods.join();
      fill(element("method"), methods.map((own) => [own, METHODS[own]]));
      element("method").value = method;
      element("method").disabled = methods.length < 2;
    }
    const names = tomograms.length > 1 ? [["all", `all ${tomograms.length} tomograms`], ["one", "only this one"]] : [["all", "this tomogram"]];
    if (this.#names !== names.join()) {
      this.#names = names.join();
      fill(element("pick-which"), names);
    }
  }

  #list(jobs) {
    const list = element("jobs");
    for (const job of jobs) {
      const known = this.#known.get(job.number);
      if (known?.state === "running" && job.state !== "running") this.session.say(`${DOING[job.kind]} ${job.name}: ${job.state}`);
      const line = known?.line ?? this.#line(job);
      if (!known) list.prepend(line.whole);
      this.#known.set(job.number, { line, state: job.state });
      this.#update(line, job);
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
    line.text.textContent = running ? job.text || DOING[job.kind] : job.state === "done" && job.made ? job.made : job.state;
    line.bar.hidden = line.stop.hidden = !running;
    if (job.share === null) line.bar.removeAttribute("value");
    else line.bar.value = job.share;
    line.command.textContent = job.log ? `${job.line}\n\n${job.log}` : job.line;
    if (job.state === "failed") line.more.open = true;
  }
}

// The options of a select: [value, text] each.
function fill(select, options) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}
