"""Test whether people and machines can tell colorized photographs from real ones.

`training.visual_turing_test.session` describes the test with people, and
`training.visual_turing_test.machine` the test with classifiers.
"""
