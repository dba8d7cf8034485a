"use strict";

const COLOUR = { particle: "#2fe0c0", none: "#ff9a62", suggested: "#ffe14d" };

// What the viewer draws of a session: suggestions above the scores of their classes, and labels.
function spheresOf(session) {
  const { selected, doubted } = session;
  const sphere = (of, colour, more) => ({
    ...placeOf(of),
    radius: session.diameters[of.species] / 2,
    colour,
    ...session.look(of.species),
    wide: of === selected,
    of,
    ...more,
  });
  const shown = session.classes.flatMap((_, species) => {
    const score = session.scoreOf(species);
    return session.openOf(species).filter((one) => one.score > score);
  });
  if (doubted && !shown.includes(doubted)) shown.push(doubted);
  const suggestions = shown.map((one) => sphere(one, COLOUR.suggested, { dashed: true }));
  const labels = session.labels.map((label) => {
    const { id, kind, species } = label;
    // labels of several classes are told from suggestions by their middle: all lines are taken
    const mark = kind ? (session.several ? "dot" : undefined) : "cross";
    const ruler = label === selected && id !== undefined && species === session.species;
    return sphere(label, kind ? COLOUR.particle : COLOUR.none, { id, mark, dashed: false, ruler });
  });
  return [...suggestions, ...labels];
}
