// The state of the page: its photos, the photo on stage and how it is viewed. Only the methods here change it; each
// reports the part that changed, so whatever draws that part reads one place.

import { Repair } from "./repair.js";

const CLEAR_SUBJECT = 0.5; // confidence from which the subject counts as found

/** A photo that the service holds, with the choices made for it. Points are [x, y], 0..1 from the top left. */
export class StoredPhoto {
  id = ""; // assigned by the service, and again whenever the photo is sent again
  width = 0; // px, upright
  height = 0;
  subject = [0.5, 0.5];
  subjectConfidence = 0; // 0..1
  faces = []; // of the service's answer: box, focus (the nearer eye), the most prominent first
  focus = "subject"; // or a point
  focusDepth = 0.5; // 0 far .. 1 near, as in the depth map
  map = null; // DepthMap of the preview's size, once loaded
  repair = null; // Repair of that map
  thumbnail = ""; // data URL for the film strip
  depthTimer = 0; // sends the repaired depth shortly after a stroke

  constructor(file, name) {
    this.file = file;
    this.name = name;
  }

  /** Takes over the service's answer to an upload. */
  describe({ id, width, height, subject, subject_confidence, faces }) {
    Object.assign(this, { id, width, height, subject, subjectConfidence: subject_confidence, faces });
  }

  setMap(map) {
    this.map = map;
    this.repair = new Repair(map);
  }

  /** The point in focus, whether chosen or the subject's. */
  get focusPoint() {
    return this.focus === "subject" ? this.subject : this.focus;
  }

  get subjectIsClear() {
    return this.subjectConfidence >= CLEAR_SUBJECT;
  }
}

export class Session {
  photos = [];
  photo = null; // the one on stage
  pictureShown = false; // whether a rendered picture of it is on stage yet
  originalSize = null; // of the original behind the divider: "preview", "full" or null
  overlay = null; // "depth", "focus" or null
  comparing = false;
  brush = null; // "nearer", "farther", "same" or null

  /** changed(part): called after a change to "photo", "focus", "overlay", "comparing" or "brush". */
  constructor(changed) {
    this.changed = changed;
  }

  /** The layer over the photo: the brush always works on the depth. */
  get layer() {
    return this.brush ? "depth" : this.overlay;
  }

  add(photo) {
    this.photos.push(photo);
    return this.putOnStage(photo);
  }

  putOnStage(photo) {
    if (photo === this.photo) return undefined;
    Object.assign(this, { photo, pictureShown: false, originalSize: null });
    return this.changed("photo");
  }

  /** point: [x, y] or "subject". depth: of that point, if it is known better than from the map. */
  focusOn(point, depth) {
    const { photo } = this;
    photo.focus = point;
    photo.focusDepth = depth ?? photo.map?.at(...photo.focusPoint) ?? photo.focusDepth;
    this.changed("focus");
  }

  toggleOverlay(kind) {
    this.overlay = this.overlay === kind ? null : kind;
    this.changed("overlay");
  }

  toggleComparing() {
    this.comparing = !this.comparing;
    return this.changed("comparing");
  }

  /** kind: the brush to take, or the one in use to put it away. */
  toggleBrush(kind) {
    this.brush = this.brush === kind ? null : kind;
    this.changed("brush");
  }
}
