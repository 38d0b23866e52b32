// Requests the rendered pictures: quick previews while settings change, one at a time and always the newest, and the full
// picture once they rest. Requests that are out of date are cancelled.

import { pause, Problem } from "./api.js";
import { blurred } from "./requests.js";

const REST_MS = 220;
const QUICK_LENS_POINTS = 32;
const FIRST_GUESS_MS = 3000; // of a full picture, until one has been made
const RENDERING_SHARE = 0.9; // of the progress; the rest is the transfer

export class Renderer {
  /**
   * query(photo): its settings as a query. show(photo, blob, { size, depth }): called with each picture.
   * progress(share): 0..1 of the full picture, null when none is being rendered. While the service renders it is judged by
   * the time that the picture before took.
   * failed(problem, again): called when a request fails. lost(photo, again): when the service has deleted the photo.
   */
  constructor({ query, show, progress, failed, lost }) {
    Object.assign(this, { query, show, progress, failed, lost });
    this.wanted = null;
    this.pumping = false;
    this.full = null;
    this.timer = 0;
    this.usualMs = FIRST_GUESS_MS;
  }

  /** Requests a preview now and, if final, the full picture unless another change follows. */
  refresh(photo, final) {
    this.cancel();
    this.wanted = photo;
    if (!this.pumping) this.pump();
    if (final) this.timer = setTimeout(() => this.finish(photo), REST_MS);
  }

  /** Cancels the full picture, whether scheduled or being rendered. */
  cancel() {
    clearTimeout(this.timer);
    this.full?.abort();
    this.full = null;
  }

  async pump() {
    this.pumping = true;
    while (this.wanted) {
      const photo = this.wanted;
      this.wanted = null;
      try {
        await this.draw(photo, "preview", `&lens_points=${QUICK_LENS_POINTS}`);
      } catch (problem) {
        await this.recover(photo, problem, () => this.refresh(photo, true));
      }
    }
    this.pumping = false;
  }

  async finish(photo) {
    while (this.pumping) await pause(20);
    const controller = (this.full = new AbortController());
    const begun = performance.now();
    const rendering = () => this.progress(RENDERING_SHARE * (1 - Math.exp((-1.5 * (performance.now() - begun)) / this.usualMs)));
    rendering();
    const clock = setInterval(rendering, 100);
    controller.signal.addEventListener("abort", () => clearInterval(clock));
    try {
      await this.draw(photo, "full", "", controller.signal, (share) => {
        clearInterval(clock);
        this.progress(RENDERING_SHARE + (1 - RENDERING_SHARE) * share);
      });
      this.usualMs = performance.now() - begun;
    } catch (problem) {
      if (problem.name !== "AbortError") await this.recover(photo, problem, () => this.finish(photo));
    } finally {
      clearInterval(clock);
      if (this.full === controller || this.full === null) this.progress(null);
    }
  }

  async draw(photo, size, more, signal, progress) {
    const answer = await blurred(photo, `${this.query(photo)}&size=${size}${more}`, { signal, progress });
    const blob = await answer.blob();
    const depth = Number(answer.headers.get("deeplens-focus-depth"));
    if (!signal?.aborted) await this.show(photo, blob, { size, depth });
  }

  /** Waits for a busy service, has a deleted photo sent again, and reports any other problem. */
  async recover(photo, problem, again) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.busy) {
      this.failed(new Problem(problem.status, `The service is busy; trying again in ${Math.max(1, problem.retryAfterS)} s.`), null);
      await pause(1000 * Math.max(1, problem.retryAfterS));
      again();
    } else if (problem.status === 404) this.lost(photo, again);
    else this.failed(problem, again);
  }
}
