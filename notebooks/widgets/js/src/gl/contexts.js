// Who holds a drawing context. Browsers grant some 16 to a page and then take the oldest away without
// a word; here whoever was looked at least recently is asked to let go, and gets one back when it is
// needed again.

const MOST = 8;
const holders = []; // { suspend() }, the most recently used last

/** Count somebody as the most recent holder of a context; others may be asked to suspend. */
export function hold(holder) {
  release(holder);
  holders.push(holder);
  while (holders.length > MOST) holders.shift().suspend();
}

/** Somebody no longer holds a context. */
export function release(holder) {
  const at = holders.indexOf(holder);
  if (at >= 0) holders.splice(at, 1);
}
