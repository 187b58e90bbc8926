"""What the FAQ and the pages assert, and what holds each of it."""
