"""The texts of replies in other languages. RFC 6856 section 3."""
