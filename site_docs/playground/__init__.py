"""The playground: the model itself, in a page."""
