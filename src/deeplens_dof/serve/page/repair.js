// Brush strokes that repair a depth map.

const STEP = 0.12; // change of depth by one stroke of Nearer or Farther, of the range 0..1

export class Repair {
  /** map: the DepthMap to change, in place. */
  constructor(map) {
    this.map = map;
    this.strokes = 0; // that are in the map
  }

  /** Begins a stroke at a point of 0..1. kind: nearer, farther or same. radius: px of the map. soft: 0..1 of the radius. */
  begin(kind, x, y, radius, soft) {
    this.stroke = { kind, radius, soft, before: this.map.codes.slice(), weight: new Float32Array(this.map.codes.length), target: this.map.codes[this.map.index(x, y)], last: null };
    this.to(x, y);
  }

  /** Continues the stroke to a point of 0..1. */
  to(x, y) {
    const { last, radius } = this.stroke;
    const end = [x * this.map.width, y * this.map.height];
    const from = last || end;
    const distance = Math.hypot(end[0] - from[0], end[1] - from[1]);
    const dabs = Math.max(1, Math.ceil(distance / Math.max(1, radius / 4)));
    for (let n = 1; n <= dabs; n++) this.dab(from[0] + ((end[0] - from[0]) * n) / dabs, from[1] + ((end[1] - from[1]) * n) / dabs);
    this.stroke.last = end;
  }

  dab(x, y) {
    const { radius, soft, weight } = this.stroke;
    const { width, height } = this.map;
    const inner = radius * (1 - soft);
    for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(height - 1, y + radius); row++) {
      for (let column = Math.max(0, Math.floor(x - radius)); column <= Math.min(width - 1, x + radius); column++) {
        const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        if (distance >= radius) continue;
        const share = distance <= inner ? 1 : (radius - distance) / (radius - inner);
        const i = row * width + column;
        const smooth = share * share * (3 - 2 * share);
        if (smooth > weight[i]) this.paint(i, (weight[i] = smooth));
      }
    }
  }

  paint(i, weight) {
    const { kind, before, target } = this.stroke;
    const move = kind === "same" ? target - before[i] : (kind === "nearer" ? STEP : -STEP) * 65535;
    this.map.codes[i] = Math.min(65535, Math.max(0, Math.round(before[i] + weight * move)));
  }

  /** Ends the stroke. Returns it, to be undone and done again; null if it changed nothing. */
  end() {
    const { before } = this.stroke;
    const indices = [];
    for (let i = 0; i < before.length; i++) if (before[i] !== this.map.codes[i]) indices.push(i);
    this.stroke = null;
    if (!indices.length) return null;
    this.strokes += 1;
    return { indices: Uint32Array.from(indices), before: Uint16Array.from(indices, (i) => before[i]), after: Uint16Array.from(indices, (i) => this.map.codes[i]) };
  }

  /** way: "undo" or "redo". */
  apply({ indices, before, after }, way) {
    const codes = way === "undo" ? before : after;
    indices.forEach((i, n) => (this.map.codes[i] = codes[n]));
    this.strokes += way === "undo" ? -1 : 1;
  }
}
