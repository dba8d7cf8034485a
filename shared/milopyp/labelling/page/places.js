"use strict";

// What lies where: how far places are from each other, which suggestions a label answers for, which class has a place.

// Whether a label says something of a class: a particle of one is none of any other.
const speaksOf = (label, species) => Boolean(label.kind) || label.species === species;
const placeOf = ({ x, y, z }) => ({ x, y, z });
const away = (one, other) => Math.hypot(one.x - other.x, one.y - other.y, one.z - other.z);

// Whether a place is near one of many: they lie in cubes as wide as `reach`.
class Near {
  #cubes = new Map();

  constructor(places, reach) {
    this.reach = reach;
    for (const place of places) {
      const key = this.#key(place, 0, 0, 0);
      const cube = this.#cubes.get(key);
      if (cube) cube.push(place);
      else this.#cubes.set(key, [place]);
    }
  }

  #key({ x, y, z }, right, up, back) {
    const number = (value, more) => Math.floor(value / this.reach) + more + 1;
    return (number(x, right) * 65536 + number(y, up)) * 65536 + number(z, back);
  }

  // Whether one lies there, for which `holds` is true if it is given.
  has(place, holds = () => true) {
    for (const right of [-1, 0, 1]) {
      for (const up of [-1, 0, 1]) {
        for (const back of [-1, 0, 1]) {
          const cube = this.#cubes.get(this.#key(place, right, up, back));
          if (cube?.some((own) => away(own, place) < this.reach && holds(own))) return true;
        }
      }
    }
    return false;
  }
}

// Suggestions of a class, {x, y, z, score, species}, with no label that says something of it within `reach`.
function unsettledOf(suggestions, labels, species, reach) {
  const settled = new Near(labels.filter((label) => speaksOf(label, species)), reach);
  return suggestions.filter((one) => one.species === species && !settled.has(one));
}

// Suggestions by class, but for those whose place another one claims: nearer than half the smaller diameter the higher
// score has it, as in picking. Below the scores of their classes they claim nothing.
function unclaimedOf(suggestions, diameters, scores) {
  return suggestions.map((own, species) => {
    let left = own;
    for (const [other, theirs] of suggestions.entries()) {
      if (other === species) continue;
      const reach = Math.min(diameters[species], diameters[other]) / 2;
      const claims = new Near(theirs.filter((one) => one.score > scores[other]), reach);
      left = left.filter((one) => !claims.has(one, ({ score }) => score > one.score));
    }
    return left;
  });
}
