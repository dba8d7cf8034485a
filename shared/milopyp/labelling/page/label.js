"use strict";

// The page of `milopyp label`: what its parts tell each other.
class Page {
  #told = 0; // a timer, until the view is kept
  showCircles = true;

  constructor() {
    this.link = new Link();
    this.session = new Session(this.link);
    this.viewer = new LinkedViewer({ z: element("xy"), y: element("xz"), x: element("yz") });
    const seek = ({ x, y, z }) => this.viewer.go({ x, y, z });
    this.classes = new ClassChoice(this.session, (species) => this.choose(species));
    this.above = new Above(this.session);
    this.clicks = new Clicks(this.session, seek);
    this.suggestions = new Suggestions(this.session, seek);
    this.gallery = new Gallery(this.session, seek);
    this.jobs = new Jobs(this.session);
    this.tomograms = new Tomograms(this.session, (index) => this.show(index));
    this.viewer.spheres = () => (this.showCircles ? this.session.spheres : []);
    this.#listenToSession();
    this.#listenToViewer();
    this.#listenToControls();
    this.#listenToLink();
    window.addEventListener("pagehide", () => this.session.state && this.#keepView());
    new ResizeObserver(() => this.#layOut()).observe(element("stage"));
  }

  // ---- between the parts

  #listenToSession() {
    const { session, viewer } = this;
    session.addEventListener("tomogram", () => this.#look());
    session.addEventListener("said", ({ detail }) => say(detail));
    for (const name of ["labels", "suggestions", "selected"]) session.addEventListener(name, () => viewer.paintSoon());
    session.addEventListener("species", () => this.#lookAt());
  }

  #listenToViewer() {
    const { session, viewer } = this;
    viewer.addEventListener("place", ({ detail }) => this.#clicked(detail));
    viewer.addEventListener("drag", ({ detail }) => {
      session.select(detail.sphere.of);
      viewer.go(placeOf(detail));
      this.#follow(session.move(detail.sphere.of, detail, element("snap").checked));
    });
    viewer.addEventListener("ruler", ({ detail }) => session.resize(2 * detail.radius));
    viewer.addEventListener("slice", () => this.#placed());
    viewer.addEventListener("contrast", () => {
      element("black").value = viewer.black;
      element("white").value = viewer.white;
      this.#keepView();
    });
    viewer.ghost = () => this.#ghost;
    for (const name of ["pointer", "slice", "view"]) viewer.addEventListener(name, () => this.#pointed());
  }

  #listenToLink() {
    const { link } = this;
    link.addEventListener("back", () => this.viewer.draw());
    link.addEventListener("refused", () => {
      const dialog = element("token");
      if (!dialog.open) dialog.showModal();
    });
    const refuse = (event) => event.preventDefault(); // there is nothing behind it yet
    element("token").addEventListener("cancel", refuse);
    element("token").querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = element("address").value.trim();
      link.use(Link.tokenOf(text) ?? text);
      element("token").close();
      link.dispatchEvent(new Event("token"));
    });
  }

  #listenToControls() {
    const { session, viewer } = this;
    const changed = (id, act) => element(id).addEventListener("input", () => act(Number(element(id).value)));
    const clicked = (id, act) => element(id).addEventListener("click", act);
    changed("z", (z) => viewer.go({ z }));
    changed("thick", (thick) => this.average(thick - viewer.thick));
    changed("black", (black) => viewer.contrast(black, Math.max(viewer.white, black + 5)));
    changed("white", (white) => viewer.contrast(Math.min(viewer.black, white - 5), white));
    clicked("fit", () => viewer.refit());
    clicked("undo", () => this.undo("undo"));
    clicked("redo", () => this.undo("redo"));
    clicked("help-open", () => this.help());
    for (const id of ["kind-particle", "kind-none"]) {
      element(id).addEventListener("change", () => (session.kind = element("kind-particle").checked ? 1 : 0));
    }
  }

  // ---- what a person does

  // A click in XY labels; in the narrow planes it goes there.
  #clicked({ x, y, z, axis, sphere, alt }) {
    const { session, viewer } = this;
    const kind = alt ? 0 : session.kind;
    if (sphere?.dashed) { // it becomes what clicks label, or is not what it was taken for
      session.settle([sphere.of], kind, kind ? session.species : sphere.of.species);
      viewer.go(placeOf(sphere));
      return;
    }
    viewer.go(axis === "z" ? { x, y } : { x, y, z });
    if (sphere?.id !== undefined) session.select(sphere.of);
    else if (axis === "z") this.#follow(session.add({ x, y, z }, kind, element("snap").checked));
  }

  addHere({ altKey }) {
    const { session, viewer } = this;
    return this.#follow(session.add(placeOf(viewer.place), altKey ? 0 : session.kind, element("snap").checked));
  }

  // To where a label is after snapping, unless one has gone elsewhere meanwhile.
  async #follow(edit) {
    const { viewer } = this;
    const before = placeOf(viewer.place);
    const answer = await edit;
    if (!answer || away(viewer.place, before) > 0) return;
    const [x, y, z] = answer.xyz;
    viewer.go({ x, y, z });
  }

  remove() {
    const { selected } = this.session;
    if (selected?.id !== undefined) this.session.remove(selected);
  }

  // The label that is selected says the opposite.
  turnKind() {
    const { selected } = this.session;
    if (selected?.id !== undefined) this.session.setKind(selected, selected.kind ? 0 : 1);
  }

  // The class of a key, which clicks label from now on.
  choose(species) {
    const { session } = this;
    if (!session.several) return;
    if (species >= session.classes.length) return say(`There are ${session.classes.length} classes`);
    session.choose(species);
    return say(`Clicks label ${session.classes[species].name}`);
  }

  // The label that is selected is of the class of a key.
  turnSpecies(species) {
    const { selected } = this.session;
    if (selected?.id !== undefined) this.session.setSpecies(selected, species);
  }

  help() {
    writeHelp(this.session.several);
    element("help").showModal();
  }

  async undo(what) {
    const name = this.session.state[what];
    if (!name) return say(`Nothing to ${what}`);
    return this.session.edit({ do: what }, () => `${what}: ${name}`);
  }

  switchKind() {
    element(this.session.kind ? "kind-none" : "kind-particle").click();
    say(`A click now means ${this.session.kind ? "a particle" : "no particle"}`);
  }

  grow(voxels) {
    this.session.resize(this.session.diameter + voxels);
  }

  lift(score) {
    this.session.score += score;
    say(`Score above ${this.session.score.toFixed(2)}`);
  }

  step(count, { shiftKey }) {
    this.viewer.step("z", count * (shiftKey ? 10 : 1));
    this.#sayHere();
  }

  average(more) {
    this.viewer.thick = Math.min(Math.max(this.viewer.thick + more, 1), 64);
    if (document.activeElement !== element("thick")) element("thick").value = this.viewer.thick;
    this.#keepView();
    this.viewer.draw();
  }

  cross({ shiftKey, target }, side, count) {
    const name = this.viewer.planes.find(({ canvas }) => canvas === target).sides[side];
    this.viewer.go({ [name]: this.viewer.place[name] + count * (shiftKey ? 10 : 1) });
    this.#sayHere();
  }

  // Where the keyboard has gone, for those who do not see it.
  #sayHere() {
    const { place } = this.viewer;
    const inside = ({ x, y, z, radius }) => away({ x, y, z }, place) < radius;
    const { of } = this.session.spheres.findLast(inside) ?? {};
    const what = !of ? "" : of.id === undefined ? `, on a suggestion with score ${of.score.toFixed(2)}` : `, on label ${of.id}`;
    say(`x, y, z ${numbersOf(place)}${what}`);
  }

  toggle(name) {
    const owner = name in this ? this : this.viewer;
    owner[name] = !owner[name];
    this.viewer.paintSoon();
  }

  turn(by) {
    const { length } = this.session.state.tomograms;
    this.show((this.session.index + by + length) % length);
  }

  show(index) {
    if (index !== this.session.index) this.session.show(index);
  }

  escape() {
    if (this.gallery.isOpen) this.gallery.close();
    else this.session.select(null);
  }

  // ---- what is seen

  // Another tomogram.
  #look() {
    const { viewer, session, link } = this;
    const { size, voxel, index } = session.own;
    const before = session.memory.get("views")?.[session.own.name];
    viewer.thick = before?.thick ?? Math.min(2 * Math.round(session.diameter / 10) + 1, 63); // a fifth of a particle
    element("thick").value = viewer.thick;
    element("z").max = size[2] - 1;
    this.#lookAt();
    const source = new Server((path, options) => link.ask(path, options), index, size);
    this.#layOut(size);
    viewer.show({ size, source, voxel, spread: !before }, before?.place);
    if (before) viewer.contrast(before.black, before.white);
  }

  // What the tomogram and the class lack is made first.
  #lookAt() {
    const { index, species } = this.session;
    this.link.ask("/api/view", { body: { tomogram: index, species } }).catch(() => {});
  }

  // For when this tomogram is looked at again.
  #keepView() {
    const { viewer, session } = this;
    if (!viewer.planes[0].shown) return; // not seen yet
    const { place, thick, black, white } = viewer;
    session.memory.set("views", { ...session.memory.get("views"), [session.own.name]: { place: placeOf(place), thick, black, white } });
  }

  // ---- the pointer

  // The circle that a click would make.
  get #ghost() {
    const { pointed } = this.viewer;
    if (!this.showCircles || pointed?.axis !== "z" || pointed.sphere || pointed.ruler) return null;
    const { diameter, species } = this.session;
    const look = { ...this.session.look(species), colour: "rgb(255 255 255 / 0.75)" };
    return { ...placeOf(pointed), axis: "z", radius: diameter / 2, ...look, dashed: false, width: 1 };
  }

  #pointed() {
    const { viewer } = this;
    const { pointed } = viewer;
    for (const { canvas, axis } of viewer.planes) {
      canvas.title = pointed?.ruler && pointed.axis === axis ? "drag: size of all circles" : "";
    }
    for (const own of document.querySelectorAll(".pointed")) own.style.visibility = pointed ? "visible" : "hidden";
    if (pointed) element("pointed").textContent = numbersOf(pointed);
    viewer.paintSoon();
  }

  // XZ and YZ as narrow as the thickness asks for.
  #layOut(size = this.session.state && this.session.own.size) {
    if (!size) return;
    const stage = element("stage");
    const [wide, high] = [stage.clientWidth, stage.clientHeight];
    const scale = Math.min(wide / (size[0] + size[2]), high / (size[1] + size[2]));
    const most = 0.32 * Math.min(wide, high);
    stage.style.setProperty("--deep", `${Math.round(Math.min(Math.max(size[2] * scale, 120), most))}px`);
  }

  #placed() {
    const { place } = this.viewer;
    element("z").value = Math.round(place.z);
    element("z-is").textContent = Math.round(place.z);
    element("place").textContent = numbersOf(place);
    clearTimeout(this.#told);
    this.#told = setTimeout(() => this.#keepView(), 300);
  }
}

const page = new Page();
listenToKeys();
page.link.listen();
element("xy").focus({ preventScroll: true });
