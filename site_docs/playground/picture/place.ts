// Lets the pictures of a page move: below each chart of a moment, a button that plays its run.
import { h } from "../dom.js";
import { button } from "./button.js";
import { mountPicture } from "./index.js";
import type { PictureRun } from "./run.js";
import { addStyle } from "./style.js";

addStyle();
for (const place of document.querySelectorAll<HTMLElement>("[data-moving]")) {
  const figure = place.previousElementSibling;
  const link = figure?.querySelector<HTMLAnchorElement>("a[href$='.json']");
  if (figure instanceof HTMLElement && link) {
    offer(place, figure, link.href);
  }
}

function offer(place: HTMLElement, figure: HTMLElement, url: string): void {
  const start = button("Play this run", () => {
    start.disabled = true;
    start.textContent = "Loading";
    play().catch((error: unknown) => {
      start.disabled = false;
      start.textContent = "Play this run";
      place.append(h("p", { attributes: { role: "alert" } }, `The run could not be loaded: ${String(error)}`));
    });
  });
  const box = h("div", { attributes: { class: "moving" } }, start);
  place.append(box);

  async function play(): Promise<void> {
    const answer = await fetch(url);
    if (!answer.ok) {
      throw new Error(`${answer.status} ${answer.statusText}`);
    }
    const run = (await answer.json()) as PictureRun & { at: number };
    figure.hidden = true;
    const picture = mountPicture(place, run, {}, { at: run.at, speed: 0.05 });
    place.querySelector<HTMLElement>("button:not([hidden])")?.focus();
    picture.play();
  }
}
