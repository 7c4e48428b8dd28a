// How much is drawn while the camera moves, so that it moves smoothly: less where frames are slow.

const SLOW = 75; // milliseconds of a frame from which on less is drawn
const FAST = 22; // and more again
const LEVELS = [
  { scale: 1, part: 1 },
  { scale: 0.6, part: 1 },
  { scale: 0.5, part: 0.3 },
  { scale: 0.4, part: 0.1 },
];

export class Pace {
  constructor(count) {
    // Below some tens of thousands of Gaussians it is pixels that cost.
    this.levels = LEVELS.filter(({ part }) => part === 1 || count * part >= 10_000);
    this.level = 0;
    this.times = [];
  }

  get now() {
    return this.levels[this.level];
  }

  /** A frame was drawn while moving; true where the level has changed. */
  drawn(time) {
    this.times.push(time);
    if (this.times.length < 4) return false;
    const each = (this.times.at(-1) - this.times[0]) / (this.times.length - 1);
    const before = this.level;
    if (each > SLOW) this.level = Math.min(this.level + 1, this.levels.length - 1);
    else if (each < FAST && this.times.length > 60) this.level = Math.max(this.level - 1, 0);
    else if (this.times.length <= 60) return false;
    this.times = [];
    return this.level !== before;
  }

  /** The camera stands still. */
  rest() {
    this.times = [];
  }
}
