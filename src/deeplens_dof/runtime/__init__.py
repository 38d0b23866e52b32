"""The process underneath: threads, workers, interrupts, files that appear whole, errors as sentences."""
