"""Measured outcome: did it change because a feature was switched on?"""
