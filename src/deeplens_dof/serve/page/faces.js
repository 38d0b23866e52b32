// Quiet frames over the faces of a photo. Each is a button for the keyboard and for readers of the screen; a click on the
// photo within a frame means the face too.

import { element } from "./slider.js";

/** Draws the frames into an element. choose(point): called with the nearer eye of a face that is chosen. */
export function drawFaces(layer, { faces, focus }, choose) {
  layer.hidden = !faces.length;
  const held = layer.contains(document.activeElement) ? [...layer.children].indexOf(document.activeElement) : -1;
  layer.replaceChildren(...faces.map((face, index) => {
    const [left, top, right, bottom] = face.box.map((part) => 100 * part);
    const button = element("button", { type: "button", onclick: () => choose(face.focus) });
    Object.assign(button.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
    button.setAttribute("aria-label", faces.length === 1 ? "Focus on the face" : `Focus on face ${index + 1} of ${faces.length}`);
    button.setAttribute("aria-pressed", isAt(focus, face.focus));
    return button;
  }));
  layer.children[held]?.focus();
}

/** The nearer eye of the face at a point, which a first click there means; the point itself, where the focus is on that eye. */
export function eyeOr([x, y], { faces, focus }) {
  const face = faces.find(({ box: [left, top, right, bottom] }) => left <= x && x <= right && top <= y && y <= bottom);
  return face && !isAt(focus, face.focus) ? face.focus : [x, y];
}

const isAt = (focus, [x, y]) => focus !== "subject" && focus[0] === x && focus[1] === y;
