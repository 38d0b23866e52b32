"""What stands in synthetic scenes: furniture, figures, plants, shapes, textures, skies."""
