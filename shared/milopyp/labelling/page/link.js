"use strict";

// The page's line to the server: the token, requests, the state that it waits for.
//
// Events: "state" (detail: the state), "lost" (the server has not answered for some seconds), "back" (it does again,
// after however short a time), "refused" (the token is missing or wrong).
class Link extends EventTarget {
  static PATIENCE = 3000; // ms without an answer until that is said
  #memory = new Memory("milopyp-token");
  #token = this.#memory.get("token");
  #window = crypto.randomUUID();
  #number = -1;
  #failed = null; // since when, in ms of the page
  #lost = false;
  #edits = Promise.resolve();

  constructor() {
    super();
    const given = Link.tokenOf(location.hash);
    if (!given) return;
    this.use(given);
    history.replaceState(null, "", location.pathname); // neither shown nor kept in the history
  }

  static tokenOf(address) {
    return new URLSearchParams(address.split("#")[1] ?? "").get("token");
  }

  use(token) {
    this.#token = token;
    this.#memory.set("token", token);
  }

  // A promise of the Response, whatever its status.
  ask(path, { body, ...options } = {}) {
    const headers = { Authorization: `Bearer ${this.#token}`, "X-Window": this.#window };
    const sent = { ...options, headers };
    if (body !== undefined) {
      headers["Content-Type"] = "application/json";
      Object.assign(sent, { method: "POST", body: JSON.stringify(body) });
    }
    return fetch(path, sent).catch((error) => {
      throw error.name === "TypeError" ? new Error("milopyp label does not answer") : error;
    });
  }

  // The Response, or an Error that says what the server said against it.
  async answer(path, options) {
    const response = await this.ask(path, options);
    if (response.ok) return response;
    const { error } = await response.json().catch(() => ({}));
    throw new Error(error ?? `${path}: ${response.status}`);
  }

  async json(path, options) {
    return (await this.answer(path, options)).json();
  }

  // Changes of the labels go out one after the other; each answers with the state after it.
  edit(body) {
    const sent = this.#edits.then(() => this.json("/api/edit", { body }));
    this.#edits = sent.catch(() => {});
    return sent.then((answer) => {
      this.#tell(answer.state);
      return answer;
    });
  }

  // For ever: the state whenever it changes.
  async listen() {
    for (let pause = 500; ; ) {
      try {
        if (!this.#token) throw new DOMException("no token", "NotAllowedError");
        const response = await this.ask(`/api/state?since=${this.#number}`, { signal: AbortSignal.timeout(25000) });
        if (response.status === 401) throw new DOMException("not this token", "NotAllowedError");
        if (!response.ok) throw new Error(`${response.status}`);
        this.#tell(await response.json());
        pause = 500;
        if (this.#failed !== null) this.#back();
      } catch (error) {
        if (error.name === "NotAllowedError") await this.#newToken();
        else pause = await this.#wait(pause, error.name === "TimeoutError");
      }
    }
  }

  // Of two answers that were on their way together the older one may come last.
  #tell(state) {
    if (state.number < this.#number) return;
    this.#number = state.number;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  get lost() {
    return this.#lost;
  }

  #back() {
    this.#failed = null;
    this.#lost = false;
    this.dispatchEvent(new Event("back"));
  }

  async #wait(pause, long) {
    this.#failed ??= performance.now();
    if (!this.#lost && (long || performance.now() - this.#failed > Link.PATIENCE)) {
      this.#lost = true;
      this.dispatchEvent(new Event("lost"));
    }
    this.#number = -1; // it may be started again and count anew
    await new Promise((done) => setTimeout(done, pause));
    return Math.min(pause * 2, 2000);
  }

  #newToken() {
    this.dispatchEvent(new Event("refused"));
    return new Promise((done) => this.addEventListener("token", done, { once: true }));
  }
}
