// What keys do, on a slice and anywhere.

const click = (id) => () => element(id).click();
const KEYS = {
  "]": () => setThreshold(run.threshold + 0.01),
  "[": () => setThreshold(run.threshold - 0.01),
  "+": () => viewer.zoom(1.25),
  "=": () => viewer.zoom(1.25), // as printed on most keyboards
  "-": () => viewer.zoom(0.8),
  0: reset,
  ".": () => viewer.step("z", 1),
  ",": () => viewer.step("z", -1),
  ">": () => show(state.shown + 1),
  "<": () => show(state.shown - 1),
  c: click("circles"),
  b: click("others"),
  h: click("heat"),
  v: click("sides"),
  t: () => current().truth && element("truth").click(),
  n: () => step(1),
  p: () => step(-1),
  x: toggle,
  a: () => element("all")?.click(),
  Escape: () => show(state.shown),
};

// Of a plane that has the focus.
const SLICE_KEYS = {
  ArrowUp: ({ axis }) => viewer.step(axis, 1),
  ArrowDown: ({ axis }) => viewer.step(axis, -1),
  PageUp: ({ axis }) => viewer.step(axis, 5),
  PageDown: ({ axis }) => viewer.step(axis, -5),
  ArrowRight: () => show(state.shown + 1),
  ArrowLeft: () => show(state.shown - 1),
  Enter: (plane) => edit({ ...viewer.place, sphere: viewer.sphereAt(plane, plane.screen(viewer.place, viewer.view)) }),
};

// With Shift: the cross.
const WAYS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, 1], ArrowDown: [1, -1] };

function moveCross({ sides }, [side, sign]) {
  const far = Math.max(1, Math.round(current().radius / 4));
  viewer.go({ [sides[side]]: viewer.place[sides[side]] + sign * far });
}

// What a key means; nothing where it is the browser's.
function meaning(event) {
  const { key, ctrlKey, metaKey, altKey, shiftKey } = event;
  const plane = viewer.planes.find(({ canvas }) => canvas === event.target);
  const printed = key.length === 1;
  if ((ctrlKey || metaKey) && !altKey) {
    if (key.toLowerCase() === "z") return shiftKey ? redo : undo;
    return key === "y" ? redo : undefined;
  }
  if (altKey && !(printed && "[]".includes(key))) return undefined; // AltGr makes brackets
  if (plane && shiftKey && WAYS[key]) return () => moveCross(plane, WAYS[key]);
  if (plane && SLICE_KEYS[key]) return () => SLICE_KEYS[key](plane);
  const number = classOf(event, runs.length);
  if (number !== undefined && !(shiftKey && KEYS[key])) return () => choose(number);
  return KEYS[key];
}

document.addEventListener("keydown", (event) => {
  const action = meaning(event);
  if (!action) return;
  event.preventDefault();
  action();
});
