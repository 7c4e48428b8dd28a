// What stands below small pictures, where there is room for little.

/** The end of each name, after as few of its folders as tell all of them apart. */
export function shortNames(names) {
  const parts = names.map((name) => name.split("/"));
  const deepest = Math.max(1, ...parts.map((p) => p.length));
  for (let kept = 1; kept < deepest; kept++) {
    const short = parts.map((p) => p.slice(-kept).join("/"));
    if (new Set(short).size === names.length) return short;
  }
  return names;
}
