// Presets: settings that suit a kind of photo. Whatever a preset does not name has its default.

import { same } from "./history.js";
import { element } from "./slider.js";

export const PRESETS = [
  ["Portrait", "The person whole, a smooth background.", { f_number: 1.6, focus_range: 0.12 }],
  ["Product", "All of a thing sharp, its surroundings calm.", { f_number: 3.5, focus_range: 0.25, foreground_blur: 0.5 }],
  ["Street", "A little depth, grain as it was.", { f_number: 2.8, focus_range: 0.2, grain: 0.6, shape: "blades:7:0.5" }],
  ["Macro", "A thin plane of focus, as close lenses have it.", { f_number: 1.4, focus_range: 0.04, subject_sharp: 0.4 }],
  ["Night", "Lamps become bright discs.", { f_number: 1.4, highlights: 1, shape: "blades:7:0.5" }],
];

export class Presets {
  constructor(session, place) {
    this.session = session;
    this.buttons = PRESETS.map(([name, help]) => element("button", { type: "button", textContent: name, title: help, onclick: () => this.take(name) }));
    place.append(...this.buttons);
  }

  settingsOf(name) {
    return { ...this.session.defaults, ...PRESETS.find((preset) => preset[0] === name)[2] };
  }

  take(name) {
    this.session.set(this.settingsOf(name));
  }

  /** Marks the preset whose settings are in effect. */
  draw() {
    for (const button of this.buttons) button.setAttribute("aria-pressed", same(this.settingsOf(button.textContent), this.session.settings));
  }
}
