// The page: opens photos, passes what hands and keys do on to the settings, and shows what comes back.

import { call, json, onTokenNeeded, pause, Problem, ready } from "./api.js";
import { Controls, element } from "./controls.js";
import { readDepth, writeDepth } from "./depth.js";
import { FocusOverlay, paintDepth, paintHistogram } from "./overlays.js";
import { Renderer } from "./render.js";
import { Repair } from "./repair.js";
import * as save from "./save.js";
import { swap, View } from "./view.js";

const $ = (id) => document.getElementById(id);
const photos = [];
let photo = null; // the one on the stage
let overlay = null; // "depth", "focus" or null
let comparing = false;
const CLEAR = 0.5; // confidence from which on a subject counts as found
let brush = null; // "nearer", "farther", "same" or null

let controls;
const view = new View({
  focus: (x, y) => focusOn([x, y]),
  rectangle: focusOnRectangle,
  zoomed: (is) => press("zoom", is),
  brushBegin: (x, y) => photo.repair?.begin(brush, x, y, $("brush-size").value / 100 * Math.max(photo.map.width, photo.map.height) / 2, $("brush-soft").value / 100),
  brushTo: (x, y) => photo.repair?.stroke && (photo.repair.to(x, y), drawOverlay()),
  brushEnd: () => photo.repair?.stroke && photo.repair.end() && repaired(),
});
const renderer = new Renderer({ query, show, progress, failed, lost });
const focusOverlay = new FocusOverlay($("overlay"), (of) => `v1/photos/${of.id}/overlay?${query(of)}&size=preview`, failed);

/* photos */

async function open(files) {
  const pictures = [...files].filter((file) => file.size);
  if (!pictures.length) return;
  for (const file of pictures) await openOne(file, file.name || "pasted.png");
}

async function openOne(file, name) {
  say(`Opening ${name}: finding its depth…`);
  progress(undefined);
  try {
    const opened = await send({ file, name });
    photos.push(opened);
    photo = null;
    await choose(opened);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status) problem.message = `${name}: ${problem.message[0].toLowerCase()}${problem.message.slice(1)}`;
    failed(problem, problem.status === 413 || problem.status === 415 || problem.status === 422 ? null : () => openOne(file, name));
  } finally {
    say("");
    progress(null);
  }
}

/** Sends a file, and gets what is known of it; busy services are waited for. */
async function send(opened) {
  const form = new FormData();
  form.append("file", opened.file, opened.name);
  for (let tries = 0; ; tries++) {
    try {
      const facts = await json("v1/photos", { method: "POST", body: form });
      return Object.assign(opened, facts, { focus: opened.focus ?? "subject", focusDepth: opened.focusDepth ?? 0.5 });
    } catch (problem) {
      if (!(problem.status === 429 || (problem.status === 503 && problem.retryAfterS)) || tries > 20) throw problem;
      say("The service is busy; the photo waits for its turn…");
      await pause(1000 * Math.max(1, problem.retryAfterS));
    }
  }
}

async function choose(chosen) {
  if (photo === chosen) return;
  renderer.cancel();
  photo = chosen;
  document.body.dataset.state = "ready";
  $("welcome").hidden = true;
  $("view").hidden = false;
  $("view").setAttribute("aria-label", `Photo ${photo.name}, ${photo.width} by ${photo.height} pixels`);
  drawFilm();
  $("before").removeAttribute("src");
  $("after").removeAttribute("src");
  photo.beforeSize = null;
  view.open(photo.width, photo.height);
  renderer.refresh(photo, true);
  showFocus();
  updateRepair();
  if (!photo.map) await loadDepth(photo);
  if (photo === chosen) drawOverlay();
  if (comparing) await loadBefore();
}

async function loadDepth(of) {
  try {
    const answer = await call(`v1/photos/${of.id}/depth?size=preview`);
    of.map = await readDepth(await answer.arrayBuffer());
    of.repair = new Repair(of.map);
  } catch (problem) {
    failed(problem, () => loadDepth(of).then(drawOverlay));
  }
}

async function loadBefore() {
  const size = view.fitted ? "preview" : "full";
  if (photo.beforeSize === size || photo.beforeSize === "full") return;
  const of = photo;
  try {
    const answer = await call(`v1/photos/${of.id}/original?size=${size}`);
    if (of !== photo) return;
    await swap($("before"), await answer.blob());
    of.beforeSize = size;
  } catch (problem) {
    failed(problem, loadBefore);
  }
}

/** The service forgot a photo: it is sent again, with its repaired depth. */
async function lost(of, again) {
  try {
    say("Sending the photo again…");
    await send(of);
    if (of.repair?.changed) await putDepth(of);
    again();
  } catch (problem) {
    failed(problem, () => lost(of, again));
  } finally {
    say("");
  }
}

/* settings */

function query(of) {
  const values = { ...controls.values, focus: save.focusText(of.focus) };
  return new URLSearchParams(values).toString();
}

function focusOn(point, range) {
  photo.focus = point;
  if (point !== "subject") view.mark(point);
  if (range !== undefined) controls.set("focus_range", range, false);
  else if (photo.map && point !== "subject") photo.focusDepth = photo.map.at(...point);
  showFocus();
  drawOverlay();
  renderer.refresh(photo, true);
}

/** Everything in the rectangle becomes sharp: the focus on its middle depth, and the range as wide as that takes. */
function focusOnRectangle(x0, y0, x1, y1) {
  const middle = [(x0 + x1) / 2, (y0 + y1) / 2];
  if (!photo.map) return focusOn(middle);
  const found = [];
  for (let row = 0; row < 48; row++) {
    for (let column = 0; column < 48; column++) {
      const point = [x0 + ((column + 0.5) / 48) * (x1 - x0), y0 + ((row + 0.5) / 48) * (y1 - y0)];
      found.push([photo.map.at(...point), point]);
    }
  }
  found.sort((a, b) => a[0] - b[0]);
  const far = found[Math.floor(found.length * 0.1)][0], near = found[Math.floor(found.length * 0.9)][0];
  const target = (near + far) / 2;
  const distance = ([depth, [x, y]]) => Math.abs(depth - target) + 0.05 * Math.hypot(x - middle[0], y - middle[1]);
  const best = found.reduce((a, b) => (distance(a) <= distance(b) ? a : b));
  photo.focusDepth = best[0];
  const widest = 2 * Math.max(near - best[0], best[0] - far); // the band is centred on the focus
  const range = Math.max(0.04, widest / photo.map.fullRange + 0.02);
  focusOn(best[1], Math.min(1, Math.round(range * 100) / 100));
}

function showFocus() {
  const found = photo.subject_confidence >= CLEAR ? "On the subject" : "No clear subject: tap what should be sharp";
  $("focus-text").textContent = photo.focus === "subject" ? found : `At ${photo.focus.map((part) => `${Math.round(100 * part)} %`).join(", ")}`;
  press("subject", photo.focus === "subject");
}

/* what comes back */

async function show(of, blob, { size, depth, point }) {
  if (of !== photo) return;
  await swap($("after"), blob);
  $("after").dataset.size = size;
  if (of !== photo) return;
  photo.focusDepth = depth;
  if (photo.focus === "subject" && !photo.marked) view.mark((photo.marked = point));
  if (!photo.thumbnail || size === "full") {
    photo.thumbnail = thumbnail($("after"));
    drawFilm();
  }
  hideMessage();
  drawOverlay();
}

function thumbnail(image) {
  const canvas = element("canvas", { width: 124, height: 92 });
  const { naturalWidth: w, naturalHeight: h } = image;
  if (!w) return "";
  const scale = Math.max(124 / w, 92 / h);
  canvas.getContext("2d").drawImage(image, (124 - w * scale) / 2, (92 - h * scale) / 2, w * scale, h * scale);
  return canvas.toDataURL("image/jpeg", 0.8);
}

function drawFilm() {
  const film = $("film");
  const hidden = photos.length < 2;
  const refit = film.hidden !== hidden && view.fitted;
  film.hidden = $("save-all").hidden = hidden;
  film.replaceChildren(...photos.map((each) => {
    const button = element("button", { type: "button", title: each.name, onclick: () => choose(each) });
    button.setAttribute("aria-label", each.name);
    button.setAttribute("aria-current", each === photo);
    if (each.thumbnail) button.append(element("img", { src: each.thumbnail, alt: "" }));
    return button;
  }));
  if (refit) view.fit();
}

function drawOverlay() {
  paintHistogram($("histogram"), photo.map, photo.focusDepth, controls.values.focus_range);
  const kind = brush ? "depth" : overlay;
  $("overlay").hidden = !kind || !photo.map;
  $("overlay").style.opacity = brush && overlay !== "depth" ? 0.7 : 1;
  if (!photo.map || !kind) return;
  if (kind === "depth") paintDepth($("overlay"), photo.map);
  else focusOverlay.draw(photo, () => photo && overlay === "focus" && !brush);
}

function progress(share) {
  const bar = $("progress");
  bar.hidden = share === null;
  if (share) {
    bar.setAttribute("aria-valuenow", Math.round(100 * share));
    bar.style.setProperty("--done", `${100 * share}%`);
  } else bar.removeAttribute("aria-valuenow");
}

const say = (sentence) => ($("status").textContent = sentence);

/** again: what a button tries anew, or null for none. */
function failed(problem, again) {
  if (!(problem instanceof Problem)) throw problem;
  $("message").hidden = false;
  $("message").querySelector("p").textContent = problem.message;
  $("message-action").hidden = !again;
  $("message-action").textContent = "Try again";
  $("message-action").onclick = () => {
    hideMessage();
    again();
  };
}

const hideMessage = () => ($("message").hidden = true);

/* depth */

function takeBrush(kind) {
  brush = brush === kind ? null : kind;
  for (const button of document.querySelectorAll("[data-brush]")) button.setAttribute("aria-pressed", button.dataset.brush === brush);
  view.takeBrush(brush ? $("brush-size").value / 200 : null);
  drawOverlay();
}

async function repaired() {
  updateRepair();
  drawOverlay();
  const of = photo;
  clearTimeout(of.sending);
  of.sending = setTimeout(() => sendDepth(of), 150);
}

async function sendDepth(of) {
  try {
    await putDepth(of);
    if (of === photo) renderer.refresh(of, true);
  } catch (problem) {
    if (problem.status === 404) lost(of, () => renderer.refresh(of, true));
    else failed(problem, () => sendDepth(of));
  }
}

const putDepth = async (of) => call(`v1/photos/${of.id}/depth`, { method: "PUT", body: await writeDepth(of.map), headers: { "Content-Type": "image/png" } });

function step(back) {
  if (photo?.repair && (back ? photo.repair.undo() : photo.repair.redo())) repaired();
}

function updateRepair() {
  $("undo").disabled = !photo?.repair?.done.length;
  $("redo").disabled = !photo?.repair?.undone.length;
}

/* taking it home */

async function savePicture(of) {
  const form = $("save-format").value;
  const path = `v1/photos/${of.id}/blur?${query(of)}&size=full&format=${form}&keep_gps=${$("keep-gps").checked}`;
  say(`Making ${save.bokehName(of.name, form)}…`);
  progress(undefined);
  try {
    const answer = await call(path, { progress });
    save.download(await answer.blob(), save.bokehName(of.name, form));
    say(`Saved ${save.bokehName(of.name, form)}`);
  } catch (problem) {
    say("");
    if (problem.status === 404) await lost(of, () => savePicture(of));
    else failed(problem, () => savePicture(of));
  } finally {
    progress(null);
  }
}

async function saveDepth() {
  try {
    const answer = await call(`v1/photos/${photo.id}/depth`);
    save.download(await answer.blob(), save.depthName(photo.name));
  } catch (problem) {
    failed(problem, saveDepth);
  }
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`Copied ${what}`);
}

/* hands and keys */

const press = (id, is) => $(id).setAttribute("aria-pressed", Boolean(is));

function toggleOverlay(kind) {
  overlay = overlay === kind ? null : kind;
  press("show-depth", overlay === "depth");
  press("show-focus", overlay === "focus");
  drawOverlay();
}

async function toggleCompare() {
  comparing = !comparing;
  press("compare", comparing);
  if (comparing) await loadBefore();
  $("before").hidden = $("split").hidden = !comparing;
}

function toggleZoom() {
  view.toggleZoom(...(photo.focus === "subject" ? photo.subject : photo.focus));
  if (comparing) loadBefore();
}

const KEYS = {
  s: () => focusOn("subject"),
  b: toggleCompare,
  d: () => toggleOverlay("depth"),
  f: () => toggleOverlay("focus"),
  z: toggleZoom,
  "[": () => controls.step("f_number", -1),
  "]": () => controls.step("f_number", 1),
};

function key(event) {
  if (document.querySelector("dialog[open]") || event.target.matches("input:not([type=range], [type=radio], [type=checkbox]), select")) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (name === "z") {
      event.preventDefault();
      step(!event.shiftKey);
    }
    return;
  }
  if (name === "?") $("help").showModal();
  else if (name === "o") $("files").click();
  else if (photo && KEYS[name]) KEYS[name]();
  else if (photo && event.target === $("view")) moveFocus(event);
}

function moveFocus(event) {
  const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!by) return;
  event.preventDefault();
  const from = photo.focus === "subject" ? photo.subject : photo.focus;
  const far = event.shiftKey ? 0.1 : 0.02;
  focusOn(from.map((part, i) => Math.min(1, Math.max(0, part + far * by[i]))));
  say(`Focus at ${photo.focus.map((part) => `${Math.round(100 * part)} percent`).join(", ")}`);
}

function listen() {
  $("pick").onclick = $("add").onclick = () => $("files").click();
  $("files").onchange = () => {
    open($("files").files).finally(() => ($("files").value = ""));
  };
  for (const button of document.querySelectorAll("[data-sample]")) {
    button.onclick = async () => {
      const answer = await call(`samples/${button.dataset.sample}`);
      open([new File([await answer.blob()], button.dataset.sample, { type: "image/jpeg" })]);
    };
  }
  addEventListener("paste", (event) => open(event.clipboardData?.files ?? []));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    $("drop").hidden = false;
  });
  addEventListener("dragleave", (event) => event.relatedTarget || ($("drop").hidden = true));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").hidden = true;
    open(event.dataTransfer.files);
  });
  addEventListener("keydown", key);
  $("compare").onclick = toggleCompare;
  $("show-depth").onclick = () => toggleOverlay("depth");
  $("show-focus").onclick = () => toggleOverlay("focus");
  $("zoom").onclick = toggleZoom;
  $("subject").onclick = () => focusOn("subject");
  $("help-button").onclick = () => $("help").showModal();
  $("message-close").onclick = hideMessage;
  for (const button of document.querySelectorAll("[data-brush]")) button.onclick = () => takeBrush(button.dataset.brush);
  for (const [id, unit] of [["brush-size", " %"], ["brush-soft", " %"]]) {
    const tell = () => {
      document.querySelector(`output[for=${id}]`).textContent = $(id).value + unit;
      $(id).style.setProperty("--fill", `${(100 * ($(id).value - $(id).min)) / ($(id).max - $(id).min)}%`);
      if (brush) view.brush = $("brush-size").value / 200;
    };
    $(id).oninput = tell;
    tell();
  }
  $("undo").onclick = () => step(true);
  $("redo").onclick = () => step(false);
  $("save").onclick = $("save-top").onclick = () => savePicture(photo);
  $("save-all").onclick = async () => {
    for (const each of photos) await savePicture(each);
  };
  $("save-depth").onclick = saveDepth;
  $("save-settings").onclick = () => save.download(new Blob([save.asJson(photo, controls.values)], { type: "application/json" }), save.settingsName(photo.name));
  $("copy-command").onclick = () => copy(save.asCommand(photo, controls.values, controls.defaults, $("save-format").value), "the command");
  $("copy-python").onclick = () => copy(save.asPython(photo, controls.values, controls.defaults, $("save-format").value), "the Python program");
  for (const button of document.querySelectorAll("#tabs button")) {
    button.onclick = () => {
      document.body.dataset.tab = button.dataset.tab;
      for (const each of document.querySelectorAll("#tabs button")) each.setAttribute("aria-current", each === button);
      if (brush && button.dataset.tab !== "repair") takeBrush(brush);
    };
  }
  document.querySelector("#tabs button").setAttribute("aria-current", "true");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => photo && drawOverlay());
}

async function start() {
  onTokenNeeded(() => new Promise((done) => {
    $("token").showModal();
    $("token").onclose = () => done($("token-value").value);
  }));
  listen();
  await ready((problem) => say(problem.status === 503 ? "Getting ready. The very first start takes a minute or two…" : problem.message));
  say("");
  const [fields, limits] = await Promise.all([json("v1/settings"), json("v1/limits")]);
  controls = new Controls(fields, (name, value, final) => {
    if (!photo) return;
    drawOverlay();
    renderer.refresh(photo, final);
  });
  $("promise").textContent = `Photos stay with this service and are forgotten ${Math.round(limits.stored_seconds / 60)} minutes after you last used them.`;
  document.body.dataset.service = "ready";
}

start();
