// Undo and redo of everything: settings, focus and brush strokes of all photos, in the order in which they were made.

const MOST_STEPS = 100;
const JOIN_MS = 800; // a change of the same kind that follows so soon belongs to the same step

export class History {
  done = [];
  undone = [];
  addedAt = -Infinity;

  /** step: { photo, before, after } or { photo, stroke }. kind: steps of one kind in quick succession become one; "" for none. */
  add(step, kind = "") {
    const last = this.done.at(-1), now = performance.now();
    if (kind && last?.kind === kind && last.photo === step.photo && now - this.addedAt < JOIN_MS) {
      last.after = step.after;
      if (same(last.before, last.after)) this.done.pop();
    } else this.done.push({ ...step, kind });
    if (this.done.length > MOST_STEPS) this.done.shift();
    this.undone = [];
    this.addedAt = now;
  }

  /** way: "undo" or "redo". Returns the step to take back or to repeat; undefined when there is none. */
  take(way) {
    const [from, to] = way === "undo" ? [this.done, this.undone] : [this.undone, this.done];
    const step = from.pop();
    if (step) to.push(step);
    this.addedAt = -Infinity;
    return step;
  }

  /** Drops the steps of a photo that is gone. */
  forget(photo) {
    this.done = this.done.filter((step) => step.photo !== photo);
    this.undone = this.undone.filter((step) => step.photo !== photo);
  }
}

export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
