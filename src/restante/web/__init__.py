"""The page of developer mode: mail, live conversations and faults, for a browser and for programs.

`app` joins the routes. `page_routes` and the templates are the page for people, `state` what its
URL says, `formats` its sizes and times. `api` is the JSON for programs, `api_types` its types,
`openapi` its description, `events` its stream. `mailpit` is the part of Mailpit's API that its
client libraries use, with `mailpit_types`, `mailpit_json`, `mailpit_rows`, `mailpit_send`,
`mailpit_tags` and, for its websocket, `mailpit_events`. `page` is what all routes share.
`message_view` decodes a message, `html_document` prepares its HTML, and `search` finds messages.
`security` checks each request first. `listener` opens the port. What is shown is a server of
`restante.developer`.

Always: nothing that a message names is fetched, and nothing of a message runs. Without a password
only this machine is served. No configuration file can switch the page on.

Not API: any version may change it. The URLs below /api are.
"""
