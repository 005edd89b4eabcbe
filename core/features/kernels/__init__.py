"""Rolling statistics over a run of values, each O(1) amortised a value and exact enough for any price level.

A statistic is a record of numbers plus, where it has a window, a stretch of the shared float64 array `rings`. Its `run`
takes the next values of a series and writes one result a value. The numbers are local variables meanwhile and go back
to the record at the end, so that many short runs give the same bits as one long one. No compiled function allocates.
"""
