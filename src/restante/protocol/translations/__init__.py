"""The texts of replies in other languages. RFC 6856 section 3.

`catalogues` has the texts by the English one, and `languages` finds the one to send.
"""
