// The panel "Repair": the brush, and sending the repaired depth.

import { failed } from "./notices.js";
import * as requests from "./requests.js";
import { fill } from "./slider.js";

const $ = (id) => document.getElementById(id);
const SEND_DELAY_MS = 150; // from the end of a stroke

export class RepairPanel {
  /**
   * drawOverlay(): shows the depth as it is now. refresh(photo): renders a photo whose depth has changed.
   * sendAgain(photo, then): for a photo that the service has deleted.
   */
  constructor(session, view, { drawOverlay, refresh, sendAgain }) {
    Object.assign(this, { session, view, drawOverlay, refresh, sendAgain });
    for (const button of this.brushes) button.onclick = () => session.toggleBrush(button.dataset.brush);
    for (const id of ["brush-size", "brush-soft"]) {
      $(id).oninput = () => this.drawSlider($(id));
      this.drawSlider($(id));
    }
  }

  get brushes() {
    return document.querySelectorAll("[data-brush]");
  }

  /** The brush's radius as a share of the longer side. */
  get radius() {
    return $("brush-size").value / 200;
  }

  draw() {
    const { brush } = this.session;
    for (const button of this.brushes) button.setAttribute("aria-pressed", button.dataset.brush === brush);
    this.view.takeBrush(brush ? this.radius : null);
  }

  drawSlider(range) {
    document.querySelector(`output[for=${range.id}]`).textContent = `${range.value} %`;
    fill(range);
    if (this.session.brush) this.view.brush = this.radius;
  }

  begin(x, y) {
    const { brush, photo: { map, repair } } = this.session;
    repair?.begin(brush, x, y, this.radius * Math.max(map.width, map.height), $("brush-soft").value / 100);
  }

  to(x, y) {
    const { repair } = this.session.photo;
    if (!repair?.stroke) return;
    repair.to(x, y);
    this.drawOverlay();
  }

  end() {
    const { repair } = this.session.photo;
    const stroke = repair?.stroke && repair.end();
    if (stroke) this.session.addStroke(stroke);
  }

  /** Sends the depth of the photo on stage shortly after it has changed. */
  sendSoon() {
    const { photo } = this.session;
    clearTimeout(photo.depthTimer);
    photo.depthTimer = setTimeout(() => this.send(photo), SEND_DELAY_MS);
  }

  async send(photo) {
    try {
      await requests.replaceDepth(photo);
      this.refresh(photo);
    } catch (problem) {
      if (problem.status === 404) this.sendAgain(photo, () => this.refresh(photo));
      else failed(problem, () => this.send(photo));
    }
  }
}
