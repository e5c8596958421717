"""Reports of a corpus for people: the dataset card, the corpus page and the summary.

They only read finished steps, so they may import any stage of the corpus; no stage imports them.
"""
