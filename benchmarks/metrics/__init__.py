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

For tests of its numbers: VARIES says over what the standard error is but for its stated parts (`images`, `samples` or
`draws`), PER_IMAGE that each image's `values` or `squares` are kept, LIMITS the natural limits of the value, STEP the
least amount by which n times a share moves (STEP_DETAILS: details that move alike), BETTER_DETAILS what is better of a
detail, and CONTROLS the names of values at chance level. SKILL is the side of the controls on which skill lies, where
it is not BETTER; LIKE_DATA a metric that says whether samples resemble data, where noise can satisfy this one.
"""
