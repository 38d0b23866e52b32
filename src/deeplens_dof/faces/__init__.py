"""Faces: a small detector, and the eye that the focus is on.

face: what a face is. find: the scan of a photo. blazeface: its two networks. focus: which eye, and which depths, a focus on
faces means.
"""
