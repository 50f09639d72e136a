"""Whether people, and whether a machine, can tell colorized photographs from real ones.

Read `training.visual_turing_test.session` for the people and `training.visual_turing_test.machine`
for the machine.
"""
