// The focus range on the depth histogram: a band round the focus, whose edges can be dragged. The slider below it says the
// same to keyboards and screen readers.

import { paintHistogram } from "./overlays.js";

export class Band {
  /** depths: the element that holds the histogram. */
  constructor(session, depths) {
    this.session = session;
    this.canvas = depths.querySelector("canvas");
    this.edges = [...depths.querySelectorAll("[data-edge]")];
    for (const edge of this.edges) this.listen(edge);
  }

  /** Half of the band, 0..1 of the histogram. */
  get half() {
    const { photo, settings } = this.session;
    return (settings.focus_range * photo.map.fullRange) / 2;
  }

  draw() {
    const { photo, settings } = this.session;
    paintHistogram(this.canvas, photo.map, photo.focusDepth, settings.focus_range);
    for (const edge of this.edges) {
      edge.hidden = !photo.map;
      if (!photo.map) continue;
      const at = photo.focusDepth + (edge.dataset.edge === "near" ? this.half : -this.half);
      edge.style.left = `${100 * Math.min(1, Math.max(0, at))}%`;
    }
  }

  listen(edge) {
    let rangeAt = null; // the range for a pointer at this place; null while nothing is dragged
    edge.addEventListener("pointerdown", (event) => {
      const { photo } = this.session, box = this.canvas.getBoundingClientRect();
      edge.setPointerCapture(event.pointerId);
      const grabbed = Math.abs((event.clientX - box.left) / box.width - photo.focusDepth) - this.half;
      rangeAt = ({ clientX }) => {
        const half = Math.abs((clientX - box.left) / box.width - photo.focusDepth) - grabbed;
        return Math.min(1, Math.max(0, Number(((2 * half) / photo.map.fullRange).toFixed(3))));
      };
    });
    edge.addEventListener("pointermove", (event) => rangeAt && this.session.set({ focus_range: rangeAt(event) }, false));
    for (const name of ["pointerup", "pointercancel"]) {
      edge.addEventListener(name, (event) => {
        if (rangeAt) this.session.set({ focus_range: rangeAt(event) });
        rangeAt = null;
      });
    }
    edge.addEventListener("dblclick", () => this.session.set({ focus_range: this.session.defaults.focus_range }));
  }
}
