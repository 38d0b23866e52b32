// The photo on stage: its zoom and position, and the gestures of mouse and fingers on it.

import { element } from "./slider.js";

const CLICK_PX = 6; // a pointer that moves less is a click
const HOLD_MS = 350; // a pointer that rests so long shows the photo as it was

export class View {
  /** gestures: focus(x, y), rectangle(left, top, right, bottom), brushBegin(x, y), brushTo(x, y), brushEnd(); all 0..1; hold(is), zoomed(is). */
  constructor(gestures) {
    this.gestures = gestures;
    this.view = document.getElementById("view");
    this.frame = document.getElementById("frame");
    this.marquee = document.getElementById("marquee");
    this.ring = document.getElementById("brush-ring");
    this.reticle = document.getElementById("reticle");
    this.split = document.getElementById("split");
    this.width = this.height = this.scale = 1;
    this.x = this.y = 0;
    this.fitted = true;
    this.brush = null; // radius as a share of the longer side, while a brush is in use
    this.pointers = new Map();
    new ResizeObserver(() => this.fitted && this.fit()).observe(this.view);
    this.listen();
    this.listenToSplit();
  }

  /** Fits a photo of so many pixels into the stage. */
  open(width, height) {
    Object.assign(this, { width, height });
    this.fit();
  }

  fit() {
    const { clientWidth, clientHeight } = this.view;
    const margin = clientWidth < 600 ? 0 : 28;
    const film = document.getElementById("film").hidden ? 0 : 70;
    const scale = Math.min((clientWidth - 2 * margin) / this.width, (clientHeight - 2 * margin - film) / this.height);
    this.fitted = true;
    this.scale = Math.max(scale, 1e-4);
    this.place((clientWidth - this.width * this.scale) / 2, (clientHeight - film - this.height * this.scale) / 2);
  }

  /** Switches between the whole photo and its actual size, centred on a point of 0..1. */
  toggleZoom(x = 0.5, y = 0.5) {
    if (!this.fitted) return this.fit();
    const { clientWidth, clientHeight } = this.view;
    this.zoomTo(1 / devicePixelRatio, 0, 0);
    this.place(clientWidth / 2 - x * this.width * this.scale, clientHeight / 2 - y * this.height * this.scale);
  }

  zoomTo(scale, atX, atY) {
    const ratio = scale / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.place(atX - (atX - this.x) * ratio, atY - (atY - this.y) * ratio);
  }

  place(x, y) {
    Object.assign(this, { x, y });
    Object.assign(this.frame.style, { width: `${this.width * this.scale}px`, height: `${this.height * this.scale}px`, transform: `translate(${x}px, ${y}px)` });
    this.view.classList.toggle("zoomed", !this.fitted);
    this.gestures.zoomed(!this.fitted);
  }

  /** Puts the focus ring at a point of 0..1, and shows it for a moment. */
  mark([x, y]) {
    Object.assign(this.reticle.style, { left: `${100 * x}%`, top: `${100 * y}%` });
    this.reticle.classList.add("shown");
    clearTimeout(this.markTimer);
    this.markTimer = setTimeout(() => this.reticle.classList.remove("shown"), 1600);
  }

  /** size: the brush's radius as a share of the longer side, or null to put it away. */
  takeBrush(size) {
    this.brush = size;
    this.view.classList.toggle("brushing", size !== null);
    this.ring.hidden = true;
  }

  point(event) {
    const box = this.frame.getBoundingClientRect();
    const inside = (value) => Math.min(1, Math.max(0, value));
    return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
  }

  listen() {
    const { view } = this;
    view.addEventListener("pointerdown", (event) => this.down(event));
    view.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) view.addEventListener(name, (event) => this.up(event));
    view.addEventListener("pointerleave", () => (this.ring.hidden = true));
    view.addEventListener("contextmenu", (event) => this.drag && event.preventDefault()); // of a finger that is held
    view.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = view.getBoundingClientRect();
      const smallest = Math.min(view.clientWidth / this.width, view.clientHeight / this.height) * 0.6;
      const scale = Math.min(4, Math.max(smallest, this.scale * Math.exp(-event.deltaY * 0.0015)));
      this.zoomTo(scale, event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
  }

  down(event) {
    if (event.button || event.target.closest("#split, button")) return;
    this.view.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    this.release();
    if (this.pointers.size === 2) {
      if (this.drag?.kind === "brush") this.gestures.brushEnd();
      this.marquee.hidden = true;
      this.drag = { kind: "pinch", ...this.pinch(), from: this.scale };
      return;
    }
    const start = this.point(event);
    const kind = this.brush !== null ? "brush" : this.fitted || event.shiftKey ? "rectangle" : "pan";
    this.drag = { kind, start, event, x: this.x, y: this.y, moved: false };
    if (kind === "brush") this.gestures.brushBegin(...start);
    else this.holdTimer = setTimeout(() => this.hold(), HOLD_MS);
  }

  hold() {
    this.drag.held = true;
    this.gestures.hold(true);
  }

  /** Ends what a resting pointer shows, or would show. */
  release() {
    clearTimeout(this.holdTimer);
    if (this.drag?.held) this.gestures.hold(false);
  }

  move(event) {
    if (this.brush !== null && event.pointerType !== "touch") this.showRing(event);
    if (!this.pointers.has(event.pointerId)) return;
    this.pointers.set(event.pointerId, event);
    const { drag } = this;
    if (drag?.kind === "pinch" && this.pointers.size === 2) {
      const now = this.pinch();
      this.zoomTo(Math.min(4, Math.max(0.02, (drag.from * now.apart) / drag.apart)), now.x, now.y);
      return;
    }
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag.event.clientX, event.clientY - drag.event.clientY];
    drag.moved ||= Math.hypot(dx, dy) > CLICK_PX;
    if (drag.held) return;
    if (drag.moved) this.release();
    if (drag.kind === "brush") this.gestures.brushTo(...this.point(event));
    else if (drag.moved && drag.kind === "pan") this.place(drag.x + dx, drag.y + dy);
    else if (drag.moved && drag.kind === "rectangle") this.showMarquee(drag.start, this.point(event));
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const { drag } = this;
    this.release();
    if (drag?.kind === "pinch") {
      if (!this.pointers.size) this.drag = null;
      return;
    }
    this.drag = null;
    this.marquee.hidden = true;
    if (drag?.kind === "brush") this.gestures.brushEnd();
    if (!drag || drag.held || drag.kind === "brush" || event.type === "pointercancel") return;
    if (!drag.moved) this.gestures.focus(...drag.start);
    else if (drag.kind === "rectangle") this.gestures.rectangle(...this.corners(drag.start, this.point(event)));
  }

  pinch() {
    const [a, b] = [...this.pointers.values()];
    const box = this.view.getBoundingClientRect();
    return { apart: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1, x: (a.clientX + b.clientX) / 2 - box.left, y: (a.clientY + b.clientY) / 2 - box.top };
  }

  corners([ax, ay], [bx, by]) {
    return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
  }

  showMarquee(a, b) {
    const [left, top, right, bottom] = this.corners(a, b).map((part) => 100 * part);
    this.marquee.hidden = false;
    Object.assign(this.marquee.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  }

  showRing(event) {
    const [x, y] = this.point(event);
    const size = 2 * this.brush * Math.max(this.width, this.height) * this.scale;
    this.ring.hidden = false;
    Object.assign(this.ring.style, { left: `${100 * x}%`, top: `${100 * y}%`, width: `${size}px`, height: `${size}px` });
  }

  listenToSplit() {
    const { split, frame } = this;
    const set = (percent) => {
      const value = Math.min(100, Math.max(0, percent));
      frame.style.setProperty("--split", `${value}%`);
      split.setAttribute("aria-valuenow", Math.round(value));
      split.setAttribute("aria-valuetext", `${Math.round(value)} percent before`);
    };
    set(50);
    split.addEventListener("pointerdown", (event) => {
      split.setPointerCapture(event.pointerId);
      event.stopPropagation();
    });
    split.addEventListener("pointermove", (event) => split.hasPointerCapture(event.pointerId) && set(100 * this.point(event)[0]));
    split.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -2, ArrowRight: 2, Home: -100, End: 100 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      set(Number(split.getAttribute("aria-valuenow")) + by);
    });
  }
}

/** Replaces an image by a picture without flicker. */
export async function swap(image, blob) {
  const address = URL.createObjectURL(blob);
  const loaded = element("img", { src: address });
  await loaded.decode().catch(() => {});
  const old = image.src;
  image.src = address;
  if (old.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(old), 500);
}
