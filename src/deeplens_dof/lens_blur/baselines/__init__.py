"""The lens blur of 2018 and guided upsampling: to compare with, and off the main path."""
