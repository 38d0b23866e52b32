// The panel "Save": downloads of pictures, depth and settings, and the same picture as a command or in Python.

import { failed, progress, say } from "./notices.js";
import * as requests from "./requests.js";
import { asCommand, asJson, asPython, bokehName, depthName, settingsName } from "./save.js";
import { element } from "./slider.js";

const $ = (id) => document.getElementById(id);

export class SavePanel {
  /** query(photo): its settings as a query. sendAgain(photo, then): for a photo that was deleted. */
  constructor(session, query, sendAgain) {
    Object.assign(this, { session, query, sendAgain });
    $("save-format").onchange = () => ($("quality-row").hidden = this.format !== "jpeg");
    $("save").onclick = $("save-top").onclick = () => this.picture(session.photo);
    $("save-all").onclick = async () => {
      for (const photo of session.photos) await this.picture(photo);
    };
    $("save-depth").onclick = () => this.depth(session.photo);
    $("save-settings").onclick = () => this.settings(session.photo);
    $("copy-command").onclick = () => this.copy(asCommand, "the command");
    $("copy-python").onclick = () => this.copy(asPython, "the Python program");
  }

  get format() {
    return $("save-format").value;
  }

  /** Of a JPEG, 1..100; "" for about that of the photo. */
  get quality() {
    return this.format === "jpeg" ? $("save-quality").value : "";
  }

  async picture(photo) {
    const name = bokehName(photo.name, this.format);
    const quality = this.quality && `&quality=${this.quality}`;
    const query = `${this.query(photo)}&size=full&format=${this.format}${quality}&keep_gps=${$("keep-gps").checked}`;
    say(`Rendering ${name}…`);
    progress(undefined);
    try {
      const answer = await requests.blurred(photo, query, { progress });
      download(await answer.blob(), name);
      say(`Saved ${name}`);
    } catch (problem) {
      say("");
      if (problem.status === 404) await this.sendAgain(photo, () => this.picture(photo));
      else failed(problem, () => this.picture(photo));
    } finally {
      progress(null);
    }
  }

  async depth(photo) {
    try {
      download(await requests.depthFile(photo), depthName(photo.name));
    } catch (problem) {
      failed(problem, () => this.depth(photo));
    }
  }

  settings(photo) {
    const text = asJson(photo, this.session.valuesFor(photo));
    download(new Blob([text], { type: "application/json" }), settingsName(photo.name));
  }

  /** form: asCommand or asPython. title: of the copied text, for the status line. */
  async copy(form, title) {
    const { photo, settings, defaults } = this.session;
    await copyText(form(photo, settings, { ...defaults, focus: "subject" }, this.format, this.quality));
    say(`Copied ${title}`);
  }
}

function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a page without TLS on another machine has no clipboard
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
