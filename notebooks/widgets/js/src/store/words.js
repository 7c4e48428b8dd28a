// Sizes, times and ages as people read them.

/** 3.2 MB */
export function size(bytes) {
  let left = bytes;
  for (const unit of ["B", "kB", "MB"]) {
    if (left < 1000) return `${unit === "B" ? left : left.toFixed(1)} ${unit}`;
    left /= 1000;
  }
  return `${left.toFixed(2)} GB`;
}

/** 4.2 s, 3 min, 1.5 h */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** 5 min ago; just now */
export function age(iso, now = Date.now()) {
  if (!iso) return "";
  const seconds = (now - Date.parse(iso)) / 1000;
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  }
  return seconds >= 5 ? `${Math.floor(seconds)} s ago` : "just now";
}

/** 3 Nov 2026, 14:05 */
export function when(iso) {
  return new Date(iso).toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

/** A number with five digits, or none. */
export function number(value) {
  return value === null || value === undefined ? "—" : String(Number(value.toPrecision(5)));
}
