"""The objects of synthetic scenes: furniture, figures, plants, shapes, textures, skies."""
