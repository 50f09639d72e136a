"""Whether people, and whether a machine, can tell colorized photographs from real ones.

Read `training.turing.session` for the people and `training.turing.machine` for the machine.
"""
