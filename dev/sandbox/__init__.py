"""A test double of Spectrum, a mailbox and an OpenID provider: one process of their own, with their own data.

The product never imports this package and knows it only by address. From the product it takes the field tables
(in `field_tables`) and nothing else: its rules and replies are written from Spectrum's documentation and captured
replies, so that a misreading in the client shows.
"""
