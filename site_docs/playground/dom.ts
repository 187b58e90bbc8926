// Elements, made in one expression.

type Child = Node | string | null;
type Properties<Tag extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[Tag], "attributes" | "dataset" | "style">
> & { attributes?: Record<string, string> };

/** An element with properties, attributes and children. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties<Tag> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  const { attributes, ...rest } = properties;
  Object.assign(element, rest);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const added = new Set<string>();

/** Adds a style sheet to the page, once. The page's policy allows no style element. */
export function addSheet(css: string): void {
  if (!added.has(css)) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    document.adoptedStyleSheets.push(sheet);
    added.add(css);
  }
}
