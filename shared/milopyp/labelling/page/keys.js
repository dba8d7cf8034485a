"use strict";

// All keys, in the groups in which the help lists them: [keys, what they do, action(event)]. Lines without an action
// are for people only: the mouse, and what other parts of the page listen to. A fourth word says that a line is for
// several classes.
const KEYS = {
  "Labels": [
    [["click"], "add a particle; on a suggestion: accept it"],
    [["Alt+click"], "add “no particle”; on a suggestion: reject it"],
    [["drag"], "move a label"],
    [["drag ■"], "size of all circles: the handle of the one that is selected"],
    [["Enter"], "add at the crosshair (Alt+Enter: no particle)"],
    [["Delete", "Backspace"], "remove the label that is selected", () => page.remove()],
    [["K"], "the label that is selected: particle or none", () => page.turnKind()],
    [["1", "2", "3", "4", "5", "6", "7", "8", "9"], null, (event) => page.choose(Number(event.key) - 1)],
    [["1 … 9"], "of several classes: the one that clicks label", null, "several"],
    [["Shift+1 … 9"], "the label that is selected: of that class", null, "several"],
    [["k"], "what a click means: particle or none", () => page.switchKind()],
    [["m"], "snap clicks to the middle of the particle", () => element("snap").click()],
    [["[", "]"], "size, by 1 voxel ({ and }: by 5)", (event) => page.grow(event.key === "]" ? 1 : -1)],
    [["{", "}"], null, (event) => page.grow(event.key === "}" ? 5 : -5)],
    [["Ctrl+z"], "undo", () => page.undo("undo")],
    [["Ctrl+Shift+z", "Ctrl+y"], "redo", () => page.undo("redo")],
  ],
  "Suggestions": [
    [["d"], "next doubtful one", () => page.suggestions.next()],
    [["y"], "yes, it is a particle", () => page.suggestions.answer(1)],
    [["n"], "no, it is none", () => page.suggestions.answer(0)],
    [["s"], "skip it", () => page.suggestions.skip()],
    [["o", "p"], "score lower, higher", (event) => page.lift(event.key === "p" ? 0.02 : -0.02)],
    [["g"], "gallery (there: arrows, y, n, Enter)", () => page.gallery.toggle()],
  ],
  "Looking": [
    [["wheel"], "slices of the plane under the pointer"],
    [["PageUp", "PageDown"], "slice up, down (Shift: by 10)", (event) => page.step(event.key === "PageUp" ? 1 : -1, event)],
    [[".", ","], null, (event) => page.step(event.key === "." ? 1 : -1, event)],
    [["Ctrl+wheel", "+", "-"], "zoom"],
    [["+", "="], null, () => page.viewer.zoom(1.25)],
    [["-"], null, () => page.viewer.zoom(0.8)],
    [["drag"], "move the view (right button or Space: also from a label)"],
    [["Shift+drag"], "contrast"],
    [["a"], "contrast by itself", () => page.viewer.spread()],
    [["q", "w"], "average fewer, more slices", (event) => page.average(event.key === "w" ? 2 : -2)],
    [["0"], "all in view", () => page.viewer.refit()],
    [["arrows"], "crosshair (Shift: by 10)"],
    [["x"], "crosshair on, off", () => page.toggle("showCross")],
    [["c"], "circles on, off", () => page.toggle("showCircles")],
    [["<", ">"], "tomogram before, after", (event) => page.turn(event.key === ">" ? 1 : -1)],
    [["l"], "to the list of labels", () => element("labels").focus()],
  ],
  "Train, pick": [
    [["t"], "train", () => page.jobs.train()],
    [["P"], "pick", () => page.jobs.pick()],
  ],
  "Page": [
    [["?"], "these keys", () => page.help()],
    [["Escape"], "close, select nothing", () => page.escape()],
  ],
};

// Keys of the planes themselves: they move other things elsewhere.
const ON_CANVAS = {
  ArrowLeft: (event) => page.cross(event, 0, -1),
  ArrowRight: (event) => page.cross(event, 0, 1),
  ArrowDown: (event) => page.cross(event, 1, -1),
  ArrowUp: (event) => page.cross(event, 1, 1),
  Enter: (event) => page.addHere(event),
};

const ACTIONS = new Map(
  Object.values(KEYS).flat().filter(([, , action]) => action).flatMap(([keys, , action]) => keys.map((key) => [key, action])),
);

// As the table names it. AltGr makes brackets on many keyboards and counts as Ctrl and Alt there.
function nameOf(event) {
  const { key } = event;
  if ((!event.ctrlKey && !event.metaKey) || "[]{}".includes(key)) return key;
  return `Ctrl+${event.shiftKey ? "Shift+" : ""}${key.toLowerCase()}`;
}

function isTyping({ target }) {
  return target.matches("input[type=text], input[type=number], select") || target.closest("dialog[open]") !== null;
}

// Keys that scroll, choose or press belong to what has the focus.
function isTheirs({ key, target }) {
  if (["PageUp", "PageDown"].includes(key)) return target.matches("input[type=range], .tiles, .tiles *, pre");
  return false;
}

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (!page.session.state || event.defaultPrevented) return;
    const name = nameOf(event);
    const species = classOf(event, page.session.classes.length);
    if (species !== undefined && !isTyping(event)) return event.shiftKey ? page.turnSpecies(species) : page.choose(species);
    const onCanvas = page.viewer.planes.some(({ canvas }) => canvas === event.target);
    const browsers = event.altKey && !"[]{}".includes(event.key); // Alt and a letter open menus
    const action = (onCanvas && !event.ctrlKey && ON_CANVAS[event.key]) || (!browsers && ACTIONS.get(name));
    if (!action || isTheirs(event)) return;
    if (isTyping(event) && !(name.startsWith("Ctrl+") && event.target.matches("input[type=number]"))) return;
    event.preventDefault();
    action(event);
  });
}

function writeHelp(several) {
  const shown = { "Ctrl+z": "Ctrl+Z", "Ctrl+y": "Ctrl+Y", "Ctrl+Shift+z": "Ctrl+Shift+Z", K: "Shift+K", P: "Shift+P", PageUp: "Page ↑", PageDown: "Page ↓", Delete: "Del", Backspace: "⌫", Escape: "Esc", arrows: "← ↑ → ↓" };
  const groups = Object.entries(KEYS).map(([title, lines]) => {
    const group = document.createElement("section");
    const list = document.createElement("dl");
    for (const [keys, text, , forSeveral] of lines) {
      if (!text || (forSeveral && !several)) continue;
      const term = document.createElement("dt");
      for (const key of keys) {
        term.append(Object.assign(document.createElement("kbd"), { textContent: shown[key] ?? key }), " ");
      }
      list.append(term, Object.assign(document.createElement("dd"), { textContent: text }));
    }
    group.append(Object.assign(document.createElement("h3"), { textContent: title }), list);
    return group;
  });
  element("help").querySelector(".columns").replaceChildren(...groups);
}
