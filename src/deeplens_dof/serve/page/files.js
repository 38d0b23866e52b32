// The ways photos come in: the file dialog, drag and drop, the clipboard, and the samples.

import { call } from "./api.js";

const $ = (id) => document.getElementById(id);

/** open(files): called with the files that a person chose. */
export function listenToFiles(open) {
  $("files").onchange = () => open($("files").files).finally(() => ($("files").value = ""));
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
}
