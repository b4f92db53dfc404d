"""Metrics: one file each, its name is the metric's name.

A file has a function `evaluate(trained, **options) -> Estimate`, whose keyword defaults are the options, and
the literals NEEDS (questions of methods/method.py that the method must answer), UNIT, KIND and BETTER
(`higher`, `lower` or `neither`). BIAS says in a line which way the number is known to be off; ERROR over what its
standard error is, or NO_ERROR why it has none. IMAGES names the images that it is measured on, for the protocol.
LIKELIHOOD marks likelihoods of test images, whose `n` is the same for all those of one run. QUANTITY names what such a
number is of or bounds (with the other sign where lower is better): `log p(x)`, or `log P(v)`, the mass of an 8-bit
level's bin; of other pixels the two are one, and tables mark a bound on the wrong side of an estimate. BESIDE is a
metric that is measured with this one wherever a claim rests on it. EVERY_SNAPSHOT makes it run on each snapshot too;
ARTEFACT names a file that it writes besides.
"""
