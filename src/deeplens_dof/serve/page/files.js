// The ways files come in: the file dialogs, drag and drop, the clipboard, and the samples.

import { call } from "./api.js";

const $ = (id) => document.getElementById(id);

/** open(photos), load(file): called with the photos, and with the file of settings, that a person chose. */
export function listenToFiles(openPhotos, load) {
  const isSettings = ({ name, type }) => type === "application/json" || name?.endsWith(".json");
  const open = (files) => {
    const settings = [...files].find(isSettings);
    if (settings) load(settings);
    return openPhotos([...files].filter((file) => !isSettings(file)));
  };
  $("settings-file").onchange = () => {
    open($("settings-file").files);
    $("settings-file").value = "";
  };
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
