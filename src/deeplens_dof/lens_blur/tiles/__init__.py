"""How a picture is rendered: blocks, resolutions, tiles, and the kernels that each of them takes."""
