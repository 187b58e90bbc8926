"""What the pages show: measured runs, and predictions that are kept until something changes."""
