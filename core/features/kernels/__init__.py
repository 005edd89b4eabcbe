"""Rolling statistics updated one value at a time, each O(1) amortised and exact enough for any price level.

A statistic is a record of numbers plus, where it has a window, a stretch of the shared float64 array `rings`. So the
whole memory of a pair is two arrays, which no compiled function allocates or counts references to.
"""
