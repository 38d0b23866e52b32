// Controls built from /v1/settings. Settings with stops on real lenses move in those stops; a setting that is unknown
// here gets a plain control, so a new one appears by itself.

const STOPS = {
  f_number: [1, 1.1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.5, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9, 10, 11, 13, 14, 16, 18, 20, 22],
  lens_mm: [20, 24, 28, 35, 40, 50, 60, 70, 85, 105, 135, 180, 200, 300],
  nearest_m: [0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.4, 2, 3, 4, 6, 10],
};
const TICKS = { f_number: [1, 1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22] };
const NAMES = {
  f_number: "f-number", focus_range: "Focus range", subject_sharp: "Subject sharpness", lens_mm: "Focal length", nearest_m: "Nearest distance", shape: "Aperture shape",
  highlights: "Highlight recovery", grain: "Film grain", renderer: "Renderer",
};
const SECTIONS = { f_number: "c-aperture", focus_range: "c-focus", subject_sharp: "c-focus" };
const SHAPES = [
  ["disc", "Disc", '<circle cx="12" cy="12" r="9"/>'],
  ["blades:6", "Six blades", '<path d="M12 3 20 7.5v9L12 21 4 16.5v-9Z"/>'],
  ["blades:7:0.5", "Seven rounded blades", '<path d="M12 3q5 .3 7.6 4.3 2.3 4.6.4 8.7-3 4.7-8 5-5-.3-8-5-1.9-4.1.4-8.7Q7 3.3 12 3Z"/>'],
  ["ring", "Ring", '<path fill-rule="evenodd" d="M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 4.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9Z"/>'],
  ["cat-eye", "Cat’s eye", '<path d="M4 19Q3 6 19 4 21 17 4 19Z"/>'],
  ["anamorphic:1.33", "Anamorphic oval", '<ellipse cx="12" cy="12" rx="6.3" ry="9"/>'],
];

export class Controls {
  /** fields: the list from /v1/settings. changed(final): called after a change; final is false while dragging. */
  constructor(fields, changed) {
    this.changed = changed;
    this.values = Object.fromEntries(fields.map((field) => [field.name, field.default]));
    this.defaults = { ...this.values };
    this.shown = {};
    for (const field of fields) if (field.name !== "focus") this.draw(field);
  }

  draw(field) {
    const { name } = field;
    if (field.choices.length === 1) return;
    const place = document.getElementById(SECTIONS[name] || "c-lens");
    const control = element("div", { className: `control${name === "f_number" ? " big" : ""}`, title: field.help });
    if (name === "shape") this.drawShapes(control, field);
    else if (field.choices.length) this.drawChoices(control, field);
    else if (field.low !== null) this.drawNumber(control, field);
    else return;
    place.append(control);
  }

  drawNumber(control, field) {
    const { name, unit } = field;
    const stops = STOPS[name]?.filter((stop) => stop >= field.low && stop <= field.high);
    const range = element("input", { type: "range", id: name });
    Object.assign(range, stops ? { min: 0, max: stops.length - 1, step: 1 } : { min: field.low, max: field.high, step: (field.high - field.low) / 100 });
    const output = element("output", { htmlFor: name });
    control.append(element("label", { htmlFor: name, textContent: NAMES[name] || name }), output, range);
    if (name === "focus_range") range.before(document.getElementById("depths"));
    if (TICKS[name]) control.append(ticks(TICKS[name], stops));
    const text = (value) => (unit === "f/" ? `ƒ/${value}` : `${Number(value.toFixed(2))}${unit ? ` ${unit}` : ""}`);
    this.shown[name] = (value) => {
      range.value = stops ? nearest(stops, value) : value;
      output.textContent = text(value);
      range.setAttribute("aria-valuetext", text(value).replace("ƒ", "f"));
      range.style.setProperty("--fill", `${(100 * (range.value - range.min)) / (range.max - range.min)}%`);
    };
    const read = () => (stops ? stops[range.value] : Number(range.value));
    range.addEventListener("input", () => this.change(name, read(), false));
    range.addEventListener("change", () => this.change(name, read(), true));
    this.shown[name](field.default);
  }

  drawChoices(control, field) {
    const select = element("select", { id: field.name });
    for (const choice of field.choices) select.append(new Option(choice, choice));
    control.append(element("label", { htmlFor: field.name, textContent: NAMES[field.name] || field.name }), select);
    select.addEventListener("change", () => this.change(field.name, select.value, true));
    this.shown[field.name] = (value) => (select.value = value);
    this.shown[field.name](field.default);
  }

  drawShapes(control, field) {
    const group = element("div", { className: "shapes" });
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", NAMES.shape);
    for (const [value, name, picture] of SHAPES) {
      const label = element("label", { title: name });
      label.innerHTML = `<input type="radio" name="shape" value="${value}" aria-label="${name}"><svg viewBox="0 0 24 24" aria-hidden="true">${picture}</svg>`;
      group.append(label);
    }
    const output = element("output", {});
    control.append(element("span", { textContent: NAMES.shape }), output, group);
    group.addEventListener("change", (event) => this.change("shape", event.target.value, true));
    this.shown.shape = (value) => {
      for (const input of group.querySelectorAll("input")) input.checked = input.value === value;
      output.textContent = SHAPES.find((shape) => shape[0] === value)?.[1] ?? value;
    };
    this.shown.shape(field.default);
  }

  /** Changes a setting and its control. */
  set(name, value) {
    this.values[name] = value;
    this.shown[name]?.(value);
  }

  /** Changes a setting and reports it. */
  change(name, value, final) {
    this.set(name, value);
    this.changed(final);
  }

  /** Moves a setting by so many stops of its slider. */
  step(name, by) {
    const stops = STOPS[name];
    const at = nearest(stops, this.values[name]) + by;
    this.change(name, stops[Math.min(stops.length - 1, Math.max(0, at))], true);
  }
}

function ticks(values, stops) {
  const scale = element("div", { className: "ticks" });
  scale.setAttribute("aria-hidden", "true");
  for (const value of values.filter((value) => stops.includes(value))) {
    const mark = element("span", { textContent: value });
    mark.style.left = `${(100 * stops.indexOf(value)) / (stops.length - 1)}%`;
    scale.append(mark);
  }
  return scale;
}

function nearest(stops, value) {
  return stops.reduce((best, stop, i) => (Math.abs(Math.log(stop / value)) < Math.abs(Math.log(stops[best] / value)) ? i : best), 0);
}

export function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}
