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
// particle. So do the classes, where there are several. Where none has picks, rows say so: a list without any is refused.
function saveAll() {
  const kind = ({ name }) => (name ? [name] : []);
  const head = [
    ...runs.map((own) => `# ${own.name ? `${own.name}: ` : ""}picks above ${own.threshold} and by hand`),
    ["# tomograms:", ...run.tomograms.map((own) => own.name)].join("\t"),
    ...(run.name ? [["# classes:", ...runs.flatMap(kind)].join("\t")] : []),
    ["image_name", "x_coord", "y_coord", "z_coord", "score", ...(run.name ? ["class"] : [])].join("\t"),
  ];
  const all = runs.flatMap((own) => own.tomograms.map((tomogram) => ({ own, tomogram })));
  const lines = all.flatMap(({ own, tomogram }) =>
    tomogram.chosen(own.threshold).map(([x, y, z, score]) =>
      [tomogram.name, ...numbers([x, y, z], 2), score.toFixed(6), ...kind(own)].join("\t")));
  const none = all.map(({ own, tomogram }) => [tomogram.name, ...new Array(4).fill("none"), ...kind(own)].join("\t"));
  const name = run.name ? "picks_of_all_classes" : `picks_above_${run.threshold.toFixed(3)}`;
  save(`${name}.tsv`, [...head, ...(lines.length ? lines : none)]);
  for (const { tomogram } of all) tomogram.saved = true;
}

function saveThis() {
  const lines = [
    `# picks above ${run.threshold.toFixed(3)} and by hand; x, y, z in voxels of the full-resolution`,
    "# tomogram (z = thickness), centre of the first voxel at 0, whatever the file's axis order",
    "x,y,z,score",
  ];
  for (const [x, y, z, score] of current().chosen(run.threshold)) {
    lines.push([...numbers([x, y, z], 3), score.toFixed(6)].join(","));
  }
  save(`${current().name}${run.name ? `_${run.name}` : ""}.csv`, lines);
  current().saved = true;
}
