// A class of particles in all tomograms of the page: its candidates, threshold and edits. A page of one class has one
// of these, without a name and in the page's own colours.
class Run {
  constructor(facts, number) {
    Object.assign(this, facts);
    this.number = number;
    this.tomograms = facts.tomograms.map((own, index) => new Tomogram(own, index, this));
    this.store = new Store(`milopyp report ${facts.identity}`);
    this.edits = new Edits(this.tomograms, this.store);
    const own = facts.name ? lookOf(number, facts.colour) : null;
    this.looks = { ...LOOKS, ...(own && { pick: own, hand: { ...own, mark: "dot" } }) };
  }

  // Picks of all tomograms.
  get count() {
    return this.tomograms.reduce((sum, own) => sum + own.chosen(this.threshold).length, 0);
  }
}

const LOOKS = {
  pick: { colour: "#27e0a3" },
  hand: { colour: "#5eb1ff", mark: "dot" },
  removed: { colour: "#ff7b7b", dashed: true, mark: "cross" },
  other: { colour: "#ffffff", dashed: true },
  truth: { colour: "#ffd84d", dashed: true, mark: "plus", passive: true },
  ring: { colour: "#ffffff", passive: true }, // around what is looked at
};

const pictures = []; // by tomogram: {grey, heats by class}, parsed when it is first looked at

function picturesOf({ index, size, thickness }) {
  if (!pictures[index]) {
    const { grey, heats } = read(`pictures-${index}`);
    const embedded = (own) => own && new Embedded(own, size, thickness);
    pictures[index] = { grey: embedded(grey), heats: heats.map(embedded) };
  }
  return pictures[index];
}
