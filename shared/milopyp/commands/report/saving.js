// What the page saves: lists of picks as files.

function save(name, lines) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  say(`Saved ${name}.`);
}

const numbers = (values, digits) => values.map((value) => value.toFixed(digits));

// The tomograms stand at the head, because one without picks has no row: training would take it for one that holds no
// particle. Where none has picks, rows say so: a list without any is refused.
function saveAll() {
  const lines = [
    `# picks above ${state.threshold} and by hand`,
    ["# tomograms:", ...tomograms.map((own) => own.name)].join("\t"),
    ["image_name", "x_coord", "y_coord", "z_coord", "score"].join("\t"),
  ];
  for (const own of tomograms) {
    for (const [x, y, z, score] of own.chosen(state.threshold)) {
      lines.push([own.name, ...numbers([x, y, z], 2), score.toFixed(6)].join("\t"));
    }
    own.saved = true;
  }
  if (tomograms.every((own) => !own.chosen(state.threshold).length)) {
    for (const own of tomograms) lines.push([own.name, ...new Array(4).fill("none")].join("\t"));
  }
  save(`picks_above_${state.threshold.toFixed(3)}.tsv`, lines);
}

function saveThis() {
  const lines = [
    `# picks above ${state.threshold.toFixed(3)} and by hand; x, y, z in voxels of the full-resolution`,
    "# tomogram (z = thickness), centre of the first voxel at 0, whatever the file's axis order",
    "x,y,z,score",
  ];
  for (const [x, y, z, score] of current().chosen(state.threshold)) {
    lines.push([...numbers([x, y, z], 3), score.toFixed(6)].join(","));
  }
  save(`${current().name}.csv`, lines);
  current().saved = true;
}
