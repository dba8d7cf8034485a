"use strict";

// The page's line to the server: the token, requests, the state that it waits for.
//
// Events: "state" (detail: the state), "lost", "back" (the server does not answer, and does again), "refused" (the
// token is missing or wrong).
class Link extends EventTarget {
  #token = sessionStorage.getItem("milopyp-token");
  #window = crypto.randomUUID();
  #number = -1;
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
    sessionStorage.setItem("milopyp-token", token);
  }

  // A promise of the Response, whatever its status.
  ask(path, { body, ...options } = {}) {
    const headers = { Authorization: `Bearer ${this.#token}`, "X-Window": this.#window };
    if (body === undefined) return fetch(path, { ...options, headers });
    headers["Content-Type"] = "application/json";
    return fetch(path, { ...options, method: "POST", headers, body: JSON.stringify(body) });
  }

  // The Response, or an Error that says what the server said against it.
  async answer(path, options) {
    const response = await this.ask(path, options).catch(() => {
      throw new Error("milopyp label does not answer");
    });
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
        const response = await this.ask(`/api/state?since=${this.#number}`, { signal: AbortSignal.timeout(40000) });
        if (response.status === 401) throw new DOMException("not this token", "NotAllowedError");
        if (!response.ok) throw new Error(`${response.status}`);
        this.#tell(await response.json());
        pause = 500;
        if (this.#lost) this.dispatchEvent(new Event("back"));
        this.#lost = false;
      } catch (error) {
        if (error.name === "NotAllowedError") await this.#newToken();
        else pause = await this.#wait(pause);
      }
    }
  }

  // Of two answers that were on their way together the older one may come last.
  #tell(state) {
    if (state.number < this.#number) return;
    this.#number = state.number;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  async #wait(pause) {
    if (!this.#lost) this.dispatchEvent(new Event("lost"));
    this.#lost = true;
    this.#number = -1; // it may be started again and count anew
    await new Promise((done) => setTimeout(done, pause));
    return Math.min(pause * 2, 4000);
  }

  #newToken() {
    this.dispatchEvent(new Event("refused"));
    return new Promise((done) => this.addEventListener("token", done, { once: true }));
  }
}
