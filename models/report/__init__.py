"""The report of a model: how good it is, in one page and as pictures, for those who build it and those who use it."""
