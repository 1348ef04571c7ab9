"""A Spectrum and a mailbox to practise on: one process of their own, with their own data.

The product never imports this package and knows it only by address. From the product it takes the
field tables (`erp.fields.parameters`, `returns`) and nothing else: what it accepts and how it answers
is a reading of its own, so that a misreading in the client shows.
"""
