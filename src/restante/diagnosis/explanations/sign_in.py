"""Signing in with OAuth: what prevents that it begins, or that its answer is used."""

from restante.diagnosis.explanations.explanation import Explanation

SIGN_IN = (
    Explanation(
        "oauth-none", 10, "No way to sign in with OAuth is known for this mail server.",
        why="It is not of a provider in the table, no file of its domain names an issuer, and the "
        "server names none where it rejects a token.",
        admin="Name the issuer in the domain's autoconfig file (oAuth2). With Restante as the "
        "server, set tokens.metadata_url.",
        you="Log in with a password or an app password. If you know the issuer, set "
        'oauth = { issuer = "https://..." } in accounts.toml.',
    ),
    Explanation(
        "oauth-no-client", 10, "The provider lets only registered programs sign users in.",
        why="Restante has no client id of its own at the large providers. The ids of other "
        "programs must not be copied: providers disable such copies.",
        admin="Register a client for your organisation, and give its id to your users.",
        you="Register a client of your own, or use an app password. `pop3 login ACCOUNT` shows the "
        "steps.",
        more="The id and the command for its secret are in providers.toml or accounts.toml, in the "
        "folder restante of your configuration. An issuer that allows dynamic registration "
        "(RFC 7591) needs neither.",
    ),
    Explanation(
        "oauth-flow", 10, "None of the ways to sign in works here.",
        why="The reason of each one is shown above.",
        admin="Allow the device flow for this client, if your users have no browser at hand.",
        you="Choose another way: --paste works with a browser on any machine, --port with ssh -L.",
    ),
    Explanation(
        "oauth-network", 8, "The issuer of the tokens cannot be reached.",
        why="The name, the network or TLS fails, or the issuer does not reply in time. The tokens "
        "are kept.",
        admin="Allow https to the issuer from this machine.",
        you="Check the network, and try again.",
    ),
    Explanation(
        "oauth-answer", 6, "The answer of the issuer cannot be used.",
        why="It is not what the RFCs of OAuth require. The details are above.",
        admin="Check the issuer's metadata, and what is at its endpoints.",
        you="Check the issuer in accounts.toml or providers.toml. Report it to the issuer.",
    ),
    Explanation(
        "oauth-forged", 5, "The answer is not the issuer's to this sign-in: it was not used.",
        why="Its state or its issuer is wrong, or a server names an issuer that is not its own. An "
        "attacker could get your mail, or show you the mail of another account.",
        admin="Let the metadata, and the iss of each answer, have exactly the issuer's URL.",
        you="Sign in again, with no other sign-in under way. If it fails again, do not use this "
        "server.",
    ),
)  # fmt: skip
