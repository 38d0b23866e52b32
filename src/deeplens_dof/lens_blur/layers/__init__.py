"""What a picture is made of for a lens: surfaces, their borders, and the background that they hide."""
