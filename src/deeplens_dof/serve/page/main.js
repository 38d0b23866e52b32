// The page: connects the elements of index.html with the session, and draws the parts of it that change.

import { json, onTokenNeeded, Problem, ready } from "./api.js";
import { Controls } from "./controls.js";
import { drawFaces, eyeOr } from "./faces.js";
import { listenToFiles } from "./files.js";
import { drawFilm, thumbnail } from "./film.js";
import { failed, hideMessage, progress, say } from "./notices.js";
import { FocusOverlay, paintDepth, paintHistogram } from "./overlays.js";
import { Renderer } from "./render.js";
import { RepairPanel } from "./repair_panel.js";
import * as requests from "./requests.js";
import { focusText } from "./save.js";
import { SavePanel } from "./save_panel.js";
import { Session, StoredPhoto } from "./session.js";
import { listenToKeys } from "./shortcuts.js";
import { swap, View } from "./view.js";

const $ = (id) => document.getElementById(id);
const press = (id, is) => $(id).setAttribute("aria-pressed", Boolean(is));

const session = new Session((part) => draw[part]());
const renderer = new Renderer({ query, show: showPicture, progress, failed, lost: sendAgain });
const focusOverlay = new FocusOverlay($("overlay"), query, failed);
const view = new View({
  focus: (x, y) => session.focusOn(eyeOr([x, y], session.photo)),
  rectangle: focusOnRectangle,
  zoomed: (is) => press("zoom", is),
  brushBegin: (x, y) => repairPanel.begin(x, y),
  brushTo: (x, y) => repairPanel.to(x, y),
  brushEnd: () => repairPanel.end(),
});
const repairPanel = new RepairPanel(session, view, { drawOverlay, refresh, sendAgain });
let controls; // made once the service has listed its settings

/** The query for a photo under the present settings. */
function query(photo) {
  return new URLSearchParams({ ...controls.values, focus: focusText(photo.focus) }).toString();
}

function refresh(photo, final = true) {
  if (photo === session.photo) renderer.refresh(photo, final);
}

/* drawing */

const draw = { photo: drawPhoto, focus: drawFocus, overlay: drawOverlay, comparing: drawComparison, brush: drawBrush };

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

/** The one place that draws the focus: its ring, its text, its mark in the histogram, and the picture. */
function drawFocus() {
  const { photo } = session;
  view.mark(photo.focusPoint);
  drawFaces($("faces"), photo, (eye) => session.focusOn(eye));
  const onSubject = photo.subjectIsClear ? "On the subject" : "No clear subject: tap the part to keep sharp";
  $("focus-text").textContent = photo.focus === "subject" ? onSubject : `At ${percent(photo.focus, "%")}`;
  press("subject", photo.focus === "subject");
  drawOverlay();
  refresh(photo);
}

const percent = (point, unit) => point.map((part) => `${Math.round(100 * part)} ${unit}`).join(", ");

function drawOverlay() {
  const { photo, overlay, layer, brush } = session;
  press("show-depth", overlay === "depth");
  press("show-focus", overlay === "focus");
  if (!photo) return;
  paintHistogram($("histogram"), photo.map, photo.focusDepth, controls.values.focus_range);
  $("overlay").hidden = !layer || !photo.map;
  $("overlay").style.opacity = brush && overlay !== "depth" ? 0.7 : 1;
  if (!photo.map || !layer) return;
  if (layer === "depth") paintDepth($("overlay"), photo.map);
  else focusOverlay.draw(photo, () => session.layer === "focus");
}

async function drawComparison() {
  press("compare", session.comparing);
  if (session.comparing) await loadOriginal();
  $("before").hidden = $("split").hidden = !session.comparing;
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

/** Sends a photo again that the service has deleted, with its repaired depth. */
async function sendAgain(photo, then) {
  try {
    say("Sending the photo again…");
    await requests.upload(photo, sayBusy);
    if (photo.repair?.changed) await requests.replaceDepth(photo);
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
  const { point, depth, range } = map.focusFor(...corners);
  controls.set("focus_range", range);
  return session.focusOn(point, depth);
}

function moveFocus(by, far) {
  const step = far ? 0.1 : 0.02;
  session.focusOn(session.photo.focusPoint.map((part, i) => Math.min(1, Math.max(0, part + step * by[i]))));
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
  toggleOverlay: (kind) => session.toggleOverlay(kind),
  toggleZoom,
  undo: () => repairPanel.step("undo"),
  redo: () => repairPanel.step("redo"),
};

function listen() {
  listenToFiles(open);
  listenToKeys(actions, () => session.photo !== null);
  $("pick").onclick = $("add").onclick = actions.openFiles;
  $("help-button").onclick = actions.showHelp;
  $("subject").onclick = actions.focusOnSubject;
  $("compare").onclick = actions.toggleComparing;
  $("show-depth").onclick = () => actions.toggleOverlay("depth");
  $("show-focus").onclick = () => actions.toggleOverlay("focus");
  $("zoom").onclick = toggleZoom;
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
  controls = new Controls(fields, (final) => {
    if (!session.photo) return;
    drawOverlay();
    refresh(session.photo, final);
  });
  new SavePanel(session, controls, query, sendAgain);
  $("promise").textContent = `Photos stay with this service and are deleted ${Math.round(limits.stored_seconds / 60)} minutes after their last use.`;
  document.body.dataset.service = "ready";
}

start();
