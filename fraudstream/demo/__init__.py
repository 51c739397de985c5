"""The demo: the whole job on this machine, everything real, and the display that shows it.

run.py        what happens, in order: the file to read first
world.py      the simulated bank, and the cache of the model trained on its past
children.py   the processes that the demo starts, and how they end
training.py   a process: the bank's past becomes a model
feed.py       a process: the past goes to the topic, then live payments at a rate
watch.py      reads alerts and decisions, keeps the figures
display.py    what the terminal shows while it runs
summary.py    what came of it, against the truth
"""
