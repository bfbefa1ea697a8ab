"""The show behind `make demo`: a small world, a real daemon in it, commentary, and the proof at the end.

script.py is the order of events; stage.py what they are played with; screen.py and lines.py how they look.
"""
