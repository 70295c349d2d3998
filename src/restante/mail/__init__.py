"""Mail as a person reads it: header fields, charsets, parts, file names and the text of HTML.

Everything here reads octets from strangers. It raises nothing for any octets, its work is linear in
their number, and each of its limits is a constant of its module. What cannot be decoded stays as it
is. The strings are not fit for a terminal yet: the command line sees to that.

Not API: any version may change it.
"""
