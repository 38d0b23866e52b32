"""`deeplens serve`: a web page and its HTTP API, for this machine only unless `--host` says otherwise."""
