// Small helpers to make elements.

type Attributes = Record<string, string>;

/** Makes an element; strings among the children become text. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function button(text: string, press: () => void, title?: string): HTMLButtonElement {
  const made = make("button", { type: "button", class: "md-button moving-button" }, text);
  if (title !== undefined) {
    made.title = title;
  }
  made.addEventListener("click", press);
  return made;
}
