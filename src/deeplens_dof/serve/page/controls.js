// Controls built from /v1/settings, in the words of photographers. They only draw the session's settings, and tell it of
// changes. A setting that is unknown here gets a plain control behind "More", so a new one appears by itself.

import { element, nearest, percent, slider } from "./slider.js";

const STOPS = {
  f_number: [1, 1.1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.5, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9, 10, 11, 13, 14, 16, 18, 20, 22],
  lens_mm: [20, 24, 28, 35, 40, 50, 60, 70, 85, 105, 135, 180, 200, 300],
  nearest_m: [0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.4, 2, 3, 4, 6, 10],
};
const MARKS = { f_number: [1, 1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22] };
/** [setting, where, label, help if not the service's], in the order of the panel. */
const PLACES = [
  ["f_number", "c-aperture", "Aperture"],
  ["focus_range", "c-focus", "Focus range"],
  ["background_blur", "c-focus", "Blur behind"],
  ["foreground_blur", "c-focus", "Blur in front"],
  ["subject_sharp", "c-focus", "Keep the subject sharp"],
  ["shape", "c-look", "Bokeh shape"],
  ["highlights", "c-look", "Highlight boost", "How brightly lamps and reflections shine when they are out of focus."],
  ["grain", "c-look", "Film grain", "The photo’s own grain, put back where it was blurred away."],
  ["lens_mm", "c-more", "Focal length"],
  ["nearest_m", "c-more", "Distance of the nearest thing"],
  ["renderer", "c-more", "Hair and fur", "Fine draws single hairs and leaves at the edge of the subject; it takes longer."],
];
const CHOICES = { renderer: { optical: "Standard", matte: "Fine" } }; // others come from a settings file only
const SIDES = ["background_blur", "foreground_blur"]; // that Strength moves together
const SHAPES = [
  ["disc", "Round", '<circle cx="12" cy="12" r="9"/>'],
  ["blades:6", "Hexagon", '<path d="M12 3 20 7.5v9L12 21 4 16.5v-9Z"/>'],
  ["blades:7:0.5", "7 blades", '<path d="M12 3q5 .3 7.6 4.3 2.3 4.6.4 8.7-3 4.7-8 5-5-.3-8-5-1.9-4.1.4-8.7Q7 3.3 12 3Z"/>'],
  ["anamorphic:1.33", "Oval", '<ellipse cx="12" cy="12" rx="6.3" ry="9"/>'],
  ["cat-eye", "Cat’s eye", '<path d="M4 19Q3 6 19 4 21 17 4 19Z"/>'],
  ["ring", "Ring", '<path fill-rule="evenodd" d="M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 4.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9Z"/>'],
  ["star", "Star", '<path d="m12 2.5 2.7 6.3 6.8.6-5.2 4.5 1.6 6.7L12 17l-5.9 3.6 1.6-6.7-5.2-4.5 6.8-.6Z"/>'],
  ["heart", "Heart", '<path d="M12 20.5C5 15 3 11.8 3 8.7 3 6 5 4 7.5 4c1.9 0 3.5 1 4.5 2.8C13 5 14.6 4 16.5 4 19 4 21 6 21 8.7c0 3.1-2 6.3-9 11.8Z"/>'],
];

export class Controls {
  /** session: holds the settings, which /v1/settings has listed. */
  constructor(session) {
    this.session = session;
    this.shown = {}; // by setting: draws its value
    const fields = new Map(session.fields.map((field) => [field.name, field]));
    fields.delete("focus");
    for (const [name, place, label, help] of PLACES) {
      if (fields.has(name)) this.drawField(fields.get(name), place, label, help);
      if (name === "f_number") this.drawStrength();
      fields.delete(name);
    }
    for (const field of fields.values()) this.drawField(field, "c-more", field.name);
    this.draw();
  }

  /** Shows the settings as they are for the photo on stage. */
  draw() {
    const values = this.session.valuesFor(this.session.photo);
    for (const [name, show] of Object.entries(this.shown)) show(values[name], values);
  }

  drawField(field, place, label, help = field.help) {
    const { name } = field;
    if (field.choices.length === 1) return;
    const control = element("div", { className: `control${name === "f_number" ? " big" : SIDES.includes(name) ? " half" : ""}`, title: help });
    if (name === "shape") this.drawShapes(control, label);
    else if (field.choices.length) this.drawChoices(control, field, label);
    else if (field.low !== null) this.drawNumber(control, field, label);
    else return;
    document.getElementById(place).append(control);
    if (name === "focus_range") control.querySelector("input").before(document.getElementById("depths"));
  }

  drawNumber(control, { name, unit, low, high }, label) {
    const stops = STOPS[name]?.filter((stop) => stop >= low && stop <= high);
    const plain = (value) => `${Number(value.toFixed(2))}${unit ? ` ${unit}` : ""}`;
    this.shown[name] = slider(control, {
      id: name, label, stops, min: low, max: high, step: (high - low) / 100, marks: MARKS[name],
      text: unit === "f/" ? (value) => `ƒ/${value}` : unit ? plain : percent,
      moved: (value, final) => this.session.set({ [name]: value }, final),
      reset: () => this.session.set({ [name]: this.session.defaults[name] }),
    });
  }

  /** One slider for the amounts on both sides of the focus, which keep their ratio. */
  drawStrength() {
    const control = element("div", { className: "control", title: "How strong the blur is: 100 % as the lens gives it." });
    document.getElementById("c-aperture").append(control);
    let ratio = [1, 1]; // of the sides to the stronger one
    const show = slider(control, {
      id: "strength", label: "Strength", min: 0, max: 2, step: 0.02, text: percent,
      moved: (value, final) => this.session.set(Object.fromEntries(SIDES.map((side, i) => [side, Number((ratio[i] * value).toFixed(3))])), final),
      reset: () => this.session.set(Object.fromEntries(SIDES.map((side) => [side, this.session.defaults[side]]))),
    });
    this.shown.strength = (_, values) => {
      const sides = SIDES.map((side) => values[side]), most = Math.max(...sides);
      if (most > 0) ratio = sides.map((amount) => amount / most);
      show(most);
    };
  }

  drawChoices(control, { name, choices }, label) {
    const words = CHOICES[name], select = element("select", { id: name });
    for (const choice of choices) if (!words || words[choice]) select.append(new Option(words?.[choice] ?? choice, choice));
    const other = new Option("From the settings file", "", false, false);
    control.append(element("label", { htmlFor: name, textContent: label }), select);
    select.addEventListener("change", () => this.session.set({ [name]: select.value }));
    this.shown[name] = (value) => {
      other.remove();
      select.value = value;
      if (select.value === value) return;
      other.value = value;
      select.append(other);
      select.value = value;
    };
  }

  drawShapes(control, label) {
    const group = element("div", { className: "shapes" });
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", label);
    for (const [value, name, picture] of SHAPES) {
      const choice = element("label", {});
      choice.innerHTML = `<input type="radio" name="shape" value="${value}"><svg viewBox="0 0 24 24" aria-hidden="true">${picture}</svg><span>${name}</span>`;
      group.append(choice);
    }
    const output = element("output", {});
    control.append(element("span", { textContent: label }), output, group);
    group.addEventListener("change", (event) => this.session.set({ shape: event.target.value }));
    this.shown.shape = (value) => {
      const known = SHAPES.some((shape) => shape[0] === value);
      for (const input of group.querySelectorAll("input")) input.checked = input.value === value;
      output.textContent = known ? "" : value;
    };
  }

  /** Moves a setting by so many stops of its slider. */
  step(name, by) {
    const stops = STOPS[name];
    const at = nearest(stops, this.session.valuesFor(this.session.photo)[name]) + by;
    this.session.set({ [name]: stops[Math.min(stops.length - 1, Math.max(0, at))] });
  }
}
