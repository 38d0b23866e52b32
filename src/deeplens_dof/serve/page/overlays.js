// The layers over the photo, its depth and the parts in focus, and the depth histogram behind the focus range.

import * as requests from "./requests.js";

const NEAR = [247, 214, 160], MIDDLE = [191, 84, 71], FAR = [22, 24, 58]; // colours of the depth, from light near to dark far

/** Paints the depth into a canvas, which takes the map's size. */
export function paintDepth(canvas, map) {
  paint(canvas, map, (depth, out, i) => {
    const [from, to, share] = depth < 0.5 ? [FAR, MIDDLE, depth * 2] : [MIDDLE, NEAR, depth * 2 - 1];
    for (let c = 0; c < 3; c++) out[i + c] = from[c] + (to[c] - from[c]) * share;
    out[i + 3] = 235;
  });
}

/**
 * The parts in focus: green sharp, blue nearer, red farther, as from `deeplens blur --overlay`. The service draws them,
 * because it knows the subject that is kept sharp. One request at a time; of those waiting, only the newest is made.
 */
export class FocusOverlay {
  /** query(photo): its settings as a query. failed(problem, again): called when a request fails. */
  constructor(canvas, query, failed) {
    Object.assign(this, { canvas, query, failed });
    this.wanted = null;
    this.busy = false;
  }

  /** Requests the overlay of a photo, and draws it if `still()` holds by then. */
  async draw(photo, still) {
    this.wanted = { photo, still };
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.wanted) {
        const { photo, still } = this.wanted;
        this.wanted = null;
        const blob = await requests.focusOverlay(photo, `${this.query(photo)}&size=preview`);
        const picture = await createImageBitmap(blob);
        if (!still()) continue;
        this.canvas.width = picture.width;
        this.canvas.height = picture.height;
        this.canvas.getContext("2d").drawImage(picture, 0, 0);
      }
    } catch (problem) {
      if (![404, 429, 503].includes(problem.status)) this.failed(problem, () => this.draw(photo, still)); // reported with the picture
    } finally {
      this.busy = false;
    }
  }
}

function paint(canvas, map, colour) {
  canvas.width = map.width;
  canvas.height = map.height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(map.width, map.height);
  for (let n = 0; n < map.codes.length; n++) colour(map.codes[n] / 65535, picture.data, 4 * n);
  context.putImageData(picture, 0, 0);
}

/** Paints the histogram of depth, with the sharp range highlighted. */
export function paintHistogram(canvas, map, focusDepth, range) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  if (!map) return;
  const style = getComputedStyle(canvas);
  const steps = 70, gap = 2, bar = width / steps;
  const counts = map.histogram(steps).map(Math.sqrt);
  const most = Math.max(...counts);
  const half = (range * map.fullRange) / 2;
  const from = (focusDepth - half) * width, to = (focusDepth + half) * width;
  context.fillStyle = style.getPropertyValue("--hover");
  context.fillRect(from, 0, Math.max(to - from, 2), height);
  counts.forEach((count, n) => {
    const middle = (n + 0.5) / steps;
    context.fillStyle = style.getPropertyValue(Math.abs(middle - focusDepth) <= Math.max(half, 0.5 / steps) ? "--accent" : "--line");
    const tall = (count / most) * (height - 8);
    context.fillRect(n * bar, height - tall, bar - gap, tall);
  });
  context.fillStyle = style.getPropertyValue("--ink");
  context.fillRect(focusDepth * width - 1, 0, 2, height);
}
