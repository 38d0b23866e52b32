// Everything the page tells in words: the status line, the progress bar, and messages with a second try.

import { Problem } from "./api.js";

const $ = (id) => document.getElementById(id);

/** Shows a sentence in the status line; "" clears it. */
export const say = (sentence) => ($("status").textContent = sentence);

/** share: 0..1 done, undefined for an unknown share, null to hide the bar. */
export function progress(share) {
  const bar = $("progress"), known = typeof share === "number";
  bar.hidden = share === null;
  if (known) {
    bar.setAttribute("aria-valuenow", Math.round(100 * share));
    bar.style.setProperty("--done", `${100 * share}%`);
  } else bar.removeAttribute("aria-valuenow");
  $("quick").textContent = known ? `Preview · ${Math.round(100 * share)} %` : "Preview";
}

/** Shows a Problem. again: called by the button "Try again"; null shows no button. Other errors are thrown on. */
export function failed(problem, again) {
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

export const hideMessage = () => ($("message").hidden = true);
