"""The networks: depth and matte, border unmixing, highlights, upsampling, the baseline of 2018; loading and export."""
