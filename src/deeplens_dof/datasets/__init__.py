"""Readers of pictures with depth: public sets, phones, folders of one's own, frames and pairs of synthetic scenes."""
