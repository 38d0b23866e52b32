"""`deeplens serve`: the page to click on and the HTTP API behind it, for one's own machine unless told otherwise."""
