// The page: connects the elements of index.html with the session, and draws the parts of it that change.

import { json, onTokenNeeded, Problem, ready } from "./api.js";
import { Band } from "./band.js";
import { Controls } from "./controls.js";
import { drawFaces, eyeOr } from "./faces.js";
import { listenToFiles } from "./files.js";
import { drawFilm, thumbnail } from "./film.js";
import { failed, hideMessage, progress, say } from "./notices.js";
import { FocusOverlay, paintDepth } from "./overlays.js";
import { Presets } from "./presets.js";
import { recall, remember } from "./remember.js";
import { Renderer } from "./render.js";
import { RepairPanel } from "./repair_panel.js";
import * as requests from "./requests.js";
import { focusText } from "./save.js";
import { SavePanel } from "./save_panel.js";
import { Session, StoredPhoto } from "./session.js";
import { readSettings } from "./settings_file.js";
import { listenToKeys } from "./shortcuts.js";
import { swap, View } from "./view.js";

const $ = (id) => document.getElementById(id);
const press = (id, is) => $(id).setAttribute("aria-pressed", Boolean(is));

const session = new Session((part, final) => {
  remember(session);
  return draw[part](final);
});
const renderer = new Renderer({ query, show: showPicture, progress, failed, lost: sendAgain });
const focusOverlay = new FocusOverlay($("overlay"), query, failed);
const view = new View({
  focus: (x, y) => session.focusOn(eyeOr([x, y], session.photo)),
  rectangle: focusOnRectangle,
  hold: (is) => session.hold(is),
  zoomed: (is) => press("zoom", is),
  brushBegin: (x, y) => repairPanel.begin(x, y),
  brushTo: (x, y) => repairPanel.to(x, y),
  brushEnd: () => repairPanel.end(),
});
const repairPanel = new RepairPanel(session, view, { drawOverlay, refresh, sendAgain });
const band = new Band(session, $("depths"));
let controls, presets; // made once the service has listed its settings

/** The query for a photo under the present settings. Without a chosen f-number the service takes the photo's own. */
function query(photo) {
  const chosen = Object.entries(session.settings).filter(([, value]) => value !== null);
  return new URLSearchParams([...chosen, ["focus", focusText(photo.focus)]]).toString();
}

function refresh(photo, final = true) {
  if (photo === session.photo) renderer.refresh(photo, final);
}

/* drawing */

const draw = {
  photo: drawPhoto, photos: drawPhotos, focus: drawFocus, settings: drawSettings, depth: drawDepth, overlay: drawOverlay,
  comparing: drawComparison, brush: drawBrush, history: drawHistory,
};

async function drawPhoto() {
  const { photo } = session;
  renderer.cancel();
  document.body.dataset.state = "ready";
  $("welcome").hidden = true;
  $("view").hidden = false;
  $("view").setAttribute("aria-label", `Photo ${photo.name}, ${photo.width} by ${photo.height} pixels`);
  redrawFilm();
  $("before").removeAttribute("src");
  $("after").removeAttribute("src");
  view.open(photo.width, photo.height);
  drawFocus();
  repairPanel.draw();
  if (!photo.map) await loadDepth(photo);
  if (photo === session.photo && session.comparing) await loadOriginal();
}

/** Without a photo left the page begins anew. */
function drawPhotos() {
  redrawFilm();
  if (session.photos.length) return;
  document.body.dataset.state = "empty";
  $("welcome").hidden = false;
  $("view").hidden = $("hint").hidden = true;
}

/** The one place that draws the focus: its ring, its text, its mark in the histogram, and the picture. */
function drawFocus(final = true) {
  const { photo } = session;
  const onSubject = photo.focus === "subject", unclear = onSubject && !photo.subjectIsClear;
  view.mark(photo.focusPoint);
  drawFaces($("faces"), photo, (eye) => session.focusOn(eye));
  $("focus-text").textContent = onSubject ? (unclear ? "No clear subject" : "On the subject") : `At ${percent(photo.focus, "%")}`;
  $("hint").hidden = !unclear;
  press("subject", onSubject);
  drawSettings(final);
}

function drawSettings(final = true) {
  const { photo } = session;
  controls.draw();
  presets.draw();
  if (!photo) return;
  drawOverlay();
  refresh(photo, final);
}

function drawDepth() {
  drawOverlay();
  repairPanel.sendSoon();
}

function drawHistory() {
  $("undo").disabled = !session.history.done.length;
  $("redo").disabled = !session.history.undone.length;
}

const percent = (point, unit) => point.map((part) => `${Math.round(100 * part)} ${unit}`).join(", ");

function drawOverlay() {
  const { photo, overlay, layer, brush } = session;
  press("show-depth", overlay === "depth");
  press("show-focus", overlay === "focus");
  if (!photo) return;
  band.draw();
  $("overlay").hidden = !layer || !photo.map;
  $("overlay").style.opacity = brush && overlay !== "depth" ? 0.7 : 1;
  if (!photo.map || !layer) return;
  if (layer === "depth") paintDepth($("overlay"), photo.map);
  else focusOverlay.draw(photo, () => session.layer === "focus");
}

async function drawComparison() {
  press("compare", session.comparing);
  if (session.comparing || session.holding) await loadOriginal();
  const { comparing, holding } = session; // as they are by now
  $("before").hidden = !comparing && !holding;
  $("split").hidden = !comparing || holding;
  $("frame").classList.toggle("holding", holding);
}

function drawBrush() {
  repairPanel.draw();
  drawOverlay();
}

function redrawFilm() {
  const film = $("film"), wasHidden = film.hidden;
  drawFilm(film, session.photos, session.photo, (photo) => session.putOnStage(photo));
  $("save-all").hidden = film.hidden;
  if (film.hidden !== wasHidden && view.fitted) view.fit();
}

/** Puts a rendered picture on stage. depth: of the focus, as the service read it. */
async function showPicture(photo, blob, { size, depth }) {
  if (photo !== session.photo) return;
  await swap($("after"), blob);
  $("after").dataset.size = size;
  $("view").classList.toggle("quick", size !== "full");
  if (photo !== session.photo) return;
  photo.focusDepth = depth;
  if (!session.pictureShown) view.mark(photo.focusPoint); // once more, now that a picture is below the ring
  session.pictureShown = true;
  if (!photo.thumbnail || size === "full") {
    photo.thumbnail = thumbnail($("after"));
    redrawFilm();
  }
  hideMessage();
  drawOverlay();
}

/* photos */

async function open(files) {
  for (const file of [...files].filter(({ size }) => size)) await openPhoto(new StoredPhoto(file, file.name || "pasted.png"));
}

async function openPhoto(photo) {
  say(`Opening ${photo.name} and estimating its depth…`);
  progress(undefined);
  try {
    await requests.upload(photo, sayBusy);
    await session.add(photo);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status) problem.message = `${photo.name}: ${problem.message[0].toLowerCase()}${problem.message.slice(1)}`;
    failed(problem, [413, 415, 422].includes(problem.status) ? null : () => openPhoto(photo));
  } finally {
    say("");
    progress(null);
  }
}

const sayBusy = () => say("The service is busy; the photo is waiting its turn…");

/** Sends a photo again that the service has deleted, with its repaired depth. After a reload there is no file to send. */
async function sendAgain(photo, then) {
  if (!photo.file) {
    session.remove(photo);
    failed(new Problem(404, `The service no longer holds ${photo.name}. Open it again.`), null);
    return;
  }
  try {
    say("Sending the photo again…");
    await requests.upload(photo, sayBusy);
    if (photo.repair?.strokes) await requests.replaceDepth(photo);
    then();
  } catch (problem) {
    failed(problem, () => sendAgain(photo, then));
  } finally {
    say("");
  }
}

async function loadDepth(photo) {
  try {
    photo.setMap(await requests.depthMap(photo));
    if (photo === session.photo) drawOverlay();
  } catch (problem) {
    failed(problem, () => loadDepth(photo));
  }
}

async function loadOriginal() {
  const { photo } = session;
  const size = view.fitted ? "preview" : "full";
  if ([size, "full"].includes(session.originalSize)) return;
  try {
    const blob = await requests.original(photo, size);
    if (photo !== session.photo) return;
    await swap($("before"), blob);
    session.originalSize = size;
  } catch (problem) {
    failed(problem, loadOriginal);
  }
}

/* actions */

/** Keeps a rectangle sharp: focuses on its middle depth, with a range as wide as its depths need. */
function focusOnRectangle(...corners) {
  const { map } = session.photo;
  if (!map) return session.focusOn([(corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2]);
  const { point, range } = map.focusFor(...corners);
  return session.focusOn(point, { focus_range: range });
}

function moveFocus(by, far) {
  const step = far ? 0.1 : 0.02;
  session.nudgeFocus(session.photo.focusPoint.map((part, i) => Math.min(1, Math.max(0, part + step * by[i]))));
  say(`Focus at ${percent(session.photo.focus, "percent")}`);
}

function toggleZoom() {
  view.toggleZoom(...session.photo.focusPoint);
  if (session.comparing) loadOriginal();
}

const actions = {
  openFiles: () => $("files").click(),
  showHelp: () => $("help").showModal(),
  focusOnSubject: () => session.focusOn("subject"),
  moveFocus,
  stepAperture: (by) => controls.step("f_number", by),
  toggleComparing: () => session.toggleComparing(),
  holdBefore: (is) => session.hold(is),
  toggleOverlay: (kind) => session.toggleOverlay(kind),
  toggleZoom,
  undo: () => session.step("undo"),
  redo: () => session.step("redo"),
};

async function loadSettings(file) {
  try {
    session.set(await readSettings(file, session.fields));
    say(`Took the settings of ${file.name}`);
  } catch (problem) {
    failed(problem, null);
  }
}

function listen() {
  listenToFiles(open, loadSettings);
  listenToKeys(actions, () => session.photo !== null);
  $("pick").onclick = $("add").onclick = actions.openFiles;
  $("help-button").onclick = actions.showHelp;
  $("subject").onclick = actions.focusOnSubject;
  $("compare").onclick = actions.toggleComparing;
  $("show-depth").onclick = () => actions.toggleOverlay("depth");
  $("show-focus").onclick = () => actions.toggleOverlay("focus");
  $("zoom").onclick = toggleZoom;
  $("undo").onclick = actions.undo;
  $("redo").onclick = actions.redo;
  $("reset").onclick = () => session.set({ ...session.defaults, focus: "subject" });
  $("load-settings").onclick = () => $("settings-file").click();
  $("message-close").onclick = hideMessage;
  const tabs = document.querySelectorAll("#tabs button");
  for (const tab of tabs) tab.onclick = () => chooseTab(tab, tabs);
  tabs[0].setAttribute("aria-current", "true");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawOverlay);
}

function chooseTab(chosen, tabs) {
  document.body.dataset.tab = chosen.dataset.tab;
  for (const tab of tabs) tab.setAttribute("aria-current", tab === chosen);
  if (session.brush && chosen.dataset.tab !== "repair") session.toggleBrush(session.brush);
}

/* start */

const askForToken = () => new Promise((done) => {
  $("token").showModal();
  $("token").onclose = () => done($("token-value").value);
});

async function start() {
  onTokenNeeded(askForToken);
  listen();
  await ready((problem) => say(problem.status === 503 ? "Getting ready. The very first start takes a minute or two…" : problem.message));
  say("");
  const [fields, limits] = await Promise.all([json("v1/settings"), json("v1/limits")]);
  session.begin(fields);
  controls = new Controls(session);
  presets = new Presets(session, $("presets"));
  new SavePanel(session, query, sendAgain);
  $("promise").textContent = `Photos stay with this service and are deleted ${Math.round(limits.stored_seconds / 60)} minutes after their last use.`;
  await restore();
  document.body.dataset.service = "ready";
}

/** Puts back what was open before a reload, as far as the service still holds it. */
async function restore() {
  try {
    const { lost, ...found } = await recall(session);
    session.restore(found);
    if (lost) say(`${lost === 1 ? "A photo was" : `${lost} photos were`} deleted by the service meanwhile; open ${lost === 1 ? "it" : "them"} again.`);
  } catch (problem) {
    failed(problem, restore);
  }
}

start();
