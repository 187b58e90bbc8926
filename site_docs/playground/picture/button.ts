import { h } from "../dom.js";

/** A button of the picture. */
export function button(text: string, press: () => void, title = ""): HTMLButtonElement {
  return h(
    "button",
    { type: "button", className: "moving-button", onclick: press, title },
    text,
  );
}
