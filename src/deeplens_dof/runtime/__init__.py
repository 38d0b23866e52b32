"""Threads, worker processes, interrupts, atomic file writes and error messages."""
