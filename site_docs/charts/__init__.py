"""Charts of the pages: SVG, drawn at build from predictions and measurements."""
