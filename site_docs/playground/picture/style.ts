// The picture's style sheet; its colours are the page's.

import { addSheet } from "../dom.js";

const CSS = `
.moving { margin: 1em 0; container-type: inline-size; }
.moving canvas { display: block; width: 100%; touch-action: pan-y; }
.moving :focus-visible { outline: 2px solid var(--md-accent-fg-color, #0b6bb8); outline-offset: 2px; }
.moving-bar, .moving-act { display: flex; flex-wrap: wrap; gap: 0.4rem; align-items: center; }
.moving-bar { margin: 0.5rem 0; }
.md-typeset .moving .moving-button, .moving .moving-button {
  min-height: 2rem; margin: 0; padding: 0.2em 0.7em; font-size: 0.65rem; font-weight: 600;
  border: 1px solid currentColor; border-radius: 0.25rem; background: transparent;
  color: var(--md-typeset-a-color, #1458a0); cursor: pointer;
}
.moving .moving-button:disabled { opacity: 1; border-style: dashed; cursor: default;
  color: var(--md-default-fg-color--light, #000000a6); }
.md-typeset .moving .moving-button:not(:disabled):hover,
.moving .moving-button:not(:disabled):hover { background: var(--diagram-group, #f2f5f8);
  color: var(--md-typeset-a-color, #1458a0); border-color: currentColor; }
.moving label { font-size: 0.7rem; }
.moving select { min-height: 2rem; font: inherit; color: inherit; max-width: 100%;
  background: var(--diagram-box, #fff); border: 1px solid var(--chart-ideal, #6b7280);
  border-radius: 0.25rem; }
.moving option { background: var(--diagram-box, #fff); color: var(--chart-text, #33404a); }
.moving-time { flex: 1 1 12rem; display: flex; align-items: center; gap: 0.4rem; min-width: 0; }
.moving-time input { flex: 1; min-width: 4rem; min-height: 1.6rem; }
.moving-time output { font-variant-numeric: tabular-nums; white-space: nowrap; }
.md-typeset .moving-now, .moving-now { min-height: 3.2em; margin: 0.4rem 0; font-size: 0.7rem; }
.moving fieldset { border: 1px solid var(--chart-grid, #e4e8ec); border-radius: 0.3rem;
  margin: 0.5rem 0; padding: 0.3rem 0.6rem 0.5rem; min-width: 0; }
.moving legend { font-size: 0.7rem; font-weight: 600; padding: 0 0.3rem; }
.moving-log { overflow: auto; height: 8.5rem; margin: 0.4rem 0; padding: 0.4rem 0.6rem;
  border-radius: 0.3rem; background: var(--md-code-bg-color, #f5f5f5);
  color: var(--md-code-fg-color, #25333d); font-family: var(--md-code-font, monospace);
  font-size: 0.62rem; line-height: 1.5; }
.moving-log div { overflow-wrap: anywhere; padding-left: 1em; text-indent: -1em; }
.moving-log .moving-done { font-weight: 600; }
@media screen { figure.chart[hidden] { display: none !important; } }
@media print {
  .moving .moving-bar, .moving .moving-do, .moving .moving-note, .moving .moving-button,
  [data-moving] .moving { display: none; }
  figure.chart[hidden] { display: block; }
}
.moving-note { font-size: 0.65rem; color: var(--md-default-fg-color--light, #000000a6); }
.moving-key { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: 0.65rem; margin: 0.3rem 0; }
.moving-key span::before { content: ""; display: inline-block; width: 0.5rem; height: 0.5rem;
  margin-right: 0.35rem; border-radius: 50%; box-sizing: border-box; }
.moving-key .moving-waits::before { border: 2px solid var(--chart-measured, #b4530a); }
.moving-key .moving-runs::before { background: var(--chart-predicted, #2563c9); }
.moving-key .moving-hangs::before { background: var(--chart-lost, #b3121d); }
`;

/** Adds the style sheet to the page, once. */
export function addStyle(): void {
  addSheet(CSS);
}
