"""Readers of pictures with depth: public data sets, phone photos, your own folders, synthetic frames and pairs."""
