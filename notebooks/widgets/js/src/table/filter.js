// What is written into the field above the table: words, and conditions such as psnr < 25.

const OPERATORS = {
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
  "!=": (a, b) => a !== b,
  "==": (a, b) => a === b,
  "=": (a, b) => a === b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
};

/**
 * A function of a row that says whether it fulfils all that is written. Words in quotes belong
 * together; a word is looked for in every column of text, and stands for a number in those of
 * numbers only in a condition. Throws an error with words where a condition makes no sense.
 */
export function parse(text, columns) {
  const names = columns.map((c) => c.name).sort((a, b) => b.length - a.length);
  const tests = [];
  let rest = text.trim();
  while (rest) {
    const [test, length] = condition(rest, names, columns) ?? word(rest, columns);
    tests.push(test);
    rest = rest.slice(length).trimStart();
  }
  return (row) => tests.every((test) => test(row));
}

function condition(text, names, columns) {
  const lower = text.toLowerCase();
  const name = names.find((n) => lower.startsWith(n.toLowerCase()) && /^\s*(<=|>=|!=|==|=|<|>)/.test(text.slice(n.length)));
  if (name === undefined) {
    const unknown = /^([\w./[\],-]+)\s*(<=|>=|!=|==|=|<|>)/.exec(text);
    if (unknown) throw new Error(`there is no column ${unknown[1]}`);
    return null;
  }
  const [whole, sign, quoted, bare] = /^\s*(<=|>=|!=|==|=|<|>)\s*(?:"([^"]*)"?|(\S*))/.exec(text.slice(name.length));
  const column = columns.find((c) => c.name === name);
  const compare = OPERATORS[sign];
  const said = quoted ?? bare;
  const length = name.length + whole.length;
  if (column.number) {
    const value = Number(said);
    if (said === "" || Number.isNaN(value)) throw new Error(`${name} ${sign} … needs a number`);
    return [(row) => compare(column.values[row], value), length];
  }
  if (said === "") throw new Error(`${name} ${sign} … needs a word`);
  const wanted = said.toLowerCase();
  return [(row) => compare(column.values[row].toLowerCase(), wanted), length];
}

function word(text, columns) {
  const [whole, quoted, bare] = /^(?:"([^"]*)"?|(\S+))/.exec(text);
  const wanted = (quoted ?? bare).toLowerCase();
  const searched = columns.filter((c) => !c.number);
  return [(row) => searched.some((c) => c.values[row].toLowerCase().includes(wanted)), whole.length];
}
