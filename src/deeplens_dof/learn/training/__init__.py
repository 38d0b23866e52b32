"""Training: one loop, a task for each network, and the recipes of `deeplens train`."""
