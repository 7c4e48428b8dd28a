// How much is drawn at once, so that the page stays fluent: less where frames take long. While the
// camera moves, fewer Gaussians and pixels; when it stands, everything, part by part.

const SLOW = 70; // milliseconds of a frame from which on less is drawn
const FAST = 18; // and below which, after a while, more again
const PATIENCE = 20; // fast frames until more is tried
const MANY = 200_000; // Gaussians of which, before anything is known, a part is drawn first
const LEAST = 3_000; // Gaussians: below, it is pixels that cost
const PART = 50; // milliseconds in which a part of a large picture should be drawn
const FEWEST = 20_000; // Gaussians of a part

const LEVELS = [
  { scale: 1, part: 1 },
  { scale: 0.6, part: 1 },
  { scale: 0.5, part: 0.3 },
  { scale: 0.45, part: 0.1 },
  { scale: 0.4, part: 0.03 },
  { scale: 0.3, part: 0.01 },
  { scale: 0.25, part: 0.004 },
];

export class Pace {
  constructor(count) {
    this.levels = LEVELS.filter(({ part }) => part === 1 || count * part >= LEAST);
    this.level = count > MANY ? Math.min(4, this.levels.length - 1) : 0;
    this.quick = 0;
    this.part = count > MANY ? MANY / 2 : Infinity; // Gaussians that are drawn at once when it rests
  }

  /** What to draw while moving: parts of the pixels along each axis, and of the Gaussians. */
  get now() {
    return this.levels[this.level];
  }

  /** `count` Gaussians took so many milliseconds; returns how many to draw next. */
  partTook(milliseconds, count) {
    if (this.part < Infinity && count > 0) {
      const factor = Math.min(8, Math.max(0.5, PART / Math.max(1, milliseconds)));
      this.part = Math.max(FEWEST, Math.round(count * factor));
    }
    return this.part;
  }

  /** A frame of `now` took so many milliseconds; true where the level has changed. */
  took(milliseconds) {
    const before = this.level;
    const last = this.levels.length - 1;
    if (milliseconds > SLOW) {
      this.level = Math.min(last, this.level + (milliseconds > 5 * SLOW ? 2 : 1));
      this.quick = 0;
    } else if (milliseconds < FAST) {
      this.quick += 1;
      if (this.quick >= PATIENCE) {
        this.level = Math.max(0, this.level - 1);
        this.quick = 0;
      }
    }
    return this.level !== before;
  }
}
