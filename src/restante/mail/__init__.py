"""Mail as a person reads it: header fields, charsets, parts, file names and the text of HTML.

`message` is a whole message: its `fields` and its `parts`, decoded by `transfer` and `charset`.
In fields there are `encoded_words`, `addresses`, `dates` and `parameters`. `header` gives programs
an EmailMessage. `html_text` makes text of a page, `links` lists its links, and `filename` makes the
name of a part safe.

Always: everything here reads octets from strangers. It raises nothing for any octets, its work is
linear in their number, and each of its limits is a constant of its module. What cannot be decoded
stays as it is. The strings are not safe for a terminal yet: the command line makes them so.

Not API: any version may change it.
"""
