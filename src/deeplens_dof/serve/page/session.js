// The state of the page, which has this one owner: the settings, the photos, the photo on stage and how it is viewed. Only
// the methods here change it; each reports the part that changed, so whatever draws that part reads one place.

import { History, same } from "./history.js";
import { Repair } from "./repair.js";

const CLEAR_SUBJECT = 0.5; // confidence from which the subject counts as found

/** A photo that the service holds, with the choices made for it. Points are [x, y], 0..1 from the top left. */
export class StoredPhoto {
  id = ""; // assigned by the service, and again whenever the photo is sent again
  width = 0; // px, upright
  height = 0;
  subject = [0.5, 0.5];
  subjectConfidence = 0; // 0..1
  fNumber = null; // at which it is blurred until another is chosen: a phone's own, or the default
  faces = []; // of the service's answer: box, focus (the nearer eye), the most prominent first
  focus = "subject"; // or a point
  focusDepth = 0.5; // 0 far .. 1 near, as in the depth map
  map = null; // DepthMap of the preview's size, once loaded
  repair = null; // Repair of that map
  wasRepaired = false; // before the page was loaded again
  thumbnail = ""; // data URL for the film strip
  depthTimer = 0; // sends the repaired depth shortly after a stroke

  /** file: what was chosen; null after a reload, when only the service still holds it. */
  constructor(file, name) {
    this.file = file;
    this.name = name;
  }

  /** Takes over the service's description of the photo. */
  describe({ id, width, height, subject, subject_confidence, f_number, faces, depth_source }) {
    Object.assign(this, { id, width, height, subject, subjectConfidence: subject_confidence, fNumber: f_number, faces });
    this.wasRepaired = depth_source === "repaired";
  }

  setMap(map) {
    this.map = map;
    this.repair = new Repair(map);
    this.focusDepth = map.at(...this.focusPoint);
  }

  /** The point in focus, whether chosen or the subject's. */
  get focusPoint() {
    return this.focus === "subject" ? this.subject : this.focus;
  }

  get subjectIsClear() {
    return this.subjectConfidence >= CLEAR_SUBJECT;
  }

  get isRepaired() {
    return this.wasRepaired || this.repair?.strokes > 0;
  }
}

export class Session {
  defaults = {}; // the settings of no choice, by name; f_number is null: each photo has its own
  settings = {}; // those of all photos
  photos = [];
  photo = null; // the one on stage
  history = new History();
  kept = null; // the choices as the history knows them
  pictureShown = false; // whether a rendered picture of it is on stage yet
  originalSize = null; // of the original behind the divider: "preview", "full" or null
  overlay = null; // "depth", "focus" or null
  comparing = false;
  holding = false; // the original is shown for as long as it is held
  brush = null; // "nearer", "farther", "same" or null

  /**
   * changed(part, final): called after a change to "photo", "photos", "focus", "settings", "depth", "overlay",
   * "comparing", "brush" or "history". final: false while a hand still drags.
   */
  constructor(changed) {
    this.changed = changed;
  }

  /** fields: the list from /v1/settings. */
  begin(fields) {
    const names = fields.filter(({ name }) => name !== "focus");
    this.defaults = { ...Object.fromEntries(names.map((field) => [field.name, field.default])), f_number: null };
    this.settings = this.defaults;
    this.fields = fields;
  }

  /** The settings in effect for a photo, its own f-number filled in. */
  valuesFor(photo) {
    const f_number = this.settings.f_number ?? photo?.fNumber ?? this.fields.find(({ name }) => name === "f_number").default;
    return { ...this.settings, f_number };
  }

  /** The layer over the photo: the brush always works on the depth. */
  get layer() {
    return this.brush ? "depth" : this.overlay;
  }

  add(photo) {
    this.photos.push(photo);
    return this.putOnStage(photo);
  }

  /** Takes over what was open before a reload. */
  restore({ settings, photos, onStage }) {
    this.apply(settings);
    this.photos = photos;
    if (onStage) this.putOnStage(onStage);
  }

  /** Drops a photo that the service has deleted. */
  remove(photo) {
    this.photos = this.photos.filter((other) => other !== photo);
    this.history.forget(photo);
    if (photo === this.photo) this.photo = null;
    if (!this.photo && this.photos.length) this.putOnStage(this.photos[0]);
    this.changed("photos");
    this.changed("history");
  }

  putOnStage(photo) {
    if (photo === this.photo) return undefined;
    if (this.photo) this.keep();
    Object.assign(this, { photo, pictureShown: false, originalSize: null });
    this.kept = this.choices;
    return this.changed("photo");
  }

  /* settings, focus and strokes: what can be undone */

  get choices() {
    return { settings: this.settings, focus: this.photo.focus };
  }

  /** Changes settings of all photos, by name, and the focus of the one on stage, if any, if `focus` is among them. */
  set(values, final = true) {
    this.apply(values);
    if (final) this.keep("focus" in values ? "" : Object.keys(values).join());
    this.changed("focus" in values && this.photo ? "focus" : "settings", final);
  }

  /** point: [x, y] or "subject". values: settings that change with it. */
  focusOn(point, values = {}) {
    this.set({ ...values, focus: point });
  }

  /** Moves the focus by a step, as with the arrow keys; several steps at once are undone together. */
  nudgeFocus(point) {
    this.apply({ focus: point });
    this.keep("nudge");
    this.changed("focus", true);
  }

  apply({ focus, ...settings }) {
    const { photo } = this;
    this.settings = { ...this.settings, ...settings };
    if (focus === undefined || !photo) return;
    photo.focus = focus;
    photo.focusDepth = photo.map?.at(...photo.focusPoint) ?? photo.focusDepth;
  }

  /** Notes the choices as they are now as a step that can be undone. */
  keep(kind = "") {
    if (!this.photo || same(this.kept, this.choices)) return;
    this.history.add({ photo: this.photo, before: this.kept, after: this.choices }, kind);
    this.kept = this.choices;
    this.changed("history");
  }

  /** stroke: of the brush, as Repair.end() returns it. */
  addStroke(stroke) {
    this.history.add({ photo: this.photo, stroke });
    this.changed("history");
    this.changed("depth");
  }

  /** way: "undo" or "redo". */
  step(way) {
    const step = this.history.take(way);
    if (!step) return;
    this.putOnStage(step.photo);
    if (step.stroke) {
      step.photo.repair.apply(step.stroke, way);
      this.changed("depth");
    } else {
      const { settings, focus } = way === "undo" ? step.before : step.after;
      this.apply({ ...settings, focus });
      this.kept = this.choices;
      this.changed("focus", true);
    }
    this.changed("history");
  }

  /* the view */

  toggleOverlay(kind) {
    this.overlay = this.overlay === kind ? null : kind;
    this.changed("overlay");
  }

  toggleComparing() {
    this.comparing = !this.comparing;
    return this.changed("comparing");
  }

  /** Shows the original for as long as it is held. */
  hold(is) {
    if (this.holding === is) return undefined;
    this.holding = is;
    return this.changed("comparing");
  }

  /** kind: the brush to take, or the one in use to put it away. */
  toggleBrush(kind) {
    this.brush = this.brush === kind ? null : kind;
    this.changed("brush");
  }
}
