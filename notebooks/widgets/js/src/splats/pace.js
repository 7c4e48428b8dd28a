// How much is drawn while the camera moves, so that it moves smoothly: less where frames take long.

const SLOW = 70; // milliseconds of a frame from which on less is drawn
const FAST = 18; // and below which, after a while, more again
const PATIENCE = 20; // fast frames until more is tried
const MANY = 200_000; // Gaussians of which, before anything is known, a part is drawn first
const LEAST = 8_000; // Gaussians: below, it is pixels that cost

const LEVELS = [
  { scale: 1, part: 1 },
  { scale: 0.6, part: 1 },
  { scale: 0.5, part: 0.3 },
  { scale: 0.45, part: 0.1 },
  { scale: 0.4, part: 0.03 },
];

export class Pace {
  constructor(count) {
    this.levels = LEVELS.filter(({ part }) => part === 1 || count * part >= LEAST);
    this.level = count > MANY ? this.levels.length - 1 : 0;
    this.quick = 0;
  }

  /** What to draw while moving: parts of the pixels along each axis, and of the Gaussians. */
  get now() {
    return this.levels[this.level];
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
