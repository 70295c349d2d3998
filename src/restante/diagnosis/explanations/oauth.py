"""Tokens: what an issuer answers instead of a new one, and why a server refuses one."""

from restante.diagnosis.explanations.explanation import Explanation

OAUTH = (
    Explanation(
        "oauth-refresh", 7, "The sign-in has ended: the issuer gives no more tokens for it.",
        why="It was not used for too long, or the client is registered for tests only. Google ends "
        "the sign-ins of a client in Testing after 7 days.",
        admin="At Google, publish the client: Audience, Publish app.",
        you="Sign in again: pop3 login ACCOUNT.",
        more="Microsoft ends a sign-in after 90 days without use, and Google after 6 months. The "
        "old tokens are kept for this report until the next login or `pop3 logout`.",
    ),
    Explanation(
        "oauth-revoked", 7, "The sign-in was revoked: the password changed, or access was removed.",
        why="A new password ends the sign-ins of programs. So does the removal of a program's "
        "access on the security page of the account.",
        admin="Nothing, if the change was intended.",
        you="Sign in again: pop3 login ACCOUNT. If you changed nothing, check the account's "
        "security page.",
    ),
    Explanation(
        "oauth-frequency", 7, "Your organisation ends each sign-in after a set time.",
        why="A policy of the organisation (sign-in frequency) limits the time.",
        admin="Exclude the client from the policy, or use client credentials for programs that run "
        "alone.",
        you="Sign in again: pop3 login ACCOUNT. Ask the administrator for an exception.",
    ),
    Explanation(
        "oauth-mfa", 7, "The provider requires a sign-in in the browser, with a second factor.",
        why="A second factor is due, or the provider has a question for you.",
        admin="Check which policy requires it, in the sign-in log.",
        you="Sign in again in a browser: pop3 login ACCOUNT.",
    ),
    Explanation(
        "oauth-consent", 10, "The organisation has not allowed this program to read mail.",
        why="In many organisations an administrator must allow a client id before users can sign "
        "in.",
        admin="Allow the client: open https://login.microsoftonline.com/organizations/adminconsent"
        "?client_id=ID with the client id from accounts.toml. It requires POP.AccessAsUser.All and "
        "offline_access.",
        you="Send the administrator this text and the client id.",
    ),
    Explanation(
        "oauth-declined", 7, "The sign-in was declined in the browser.",
        why="The answer on the provider's page was Cancel or Deny.",
        admin="Nothing.",
        you="Sign in again, and accept: pop3 login ACCOUNT.",
    ),
    Explanation(
        "oauth-policy", 10, "A policy of the organisation blocks this sign-in.",
        why="Conditional Access or a similar policy rejects the device, the place, the program or "
        "the way to sign in.",
        admin="Find the sign-in by the correlation id in the sign-in log. It names the policy.",
        you="Try another way: pop3 login ACCOUNT --flow loopback, or --flow device.",
    ),
    Explanation(
        "oauth-client", 10, "The issuer does not accept this client id.",
        why="The id is unknown or disabled, it belongs to another organisation, or it may not use "
        "this way to sign in.",
        admin="Check the registration: the tenant, the supported account types, and the allowed "
        "flows.",
        you="Check client_id and tenant in accounts.toml. An id copied from another program often "
        "stops working: register your own.",
    ),
    Explanation(
        "oauth-secret", 10, "The secret of the client is wrong, missing or expired.",
        why="The issuer rejected the client, not the user. A public client must send no secret.",
        admin="Create a new secret. For a public client at Microsoft, set Allow public client "
        "flows to Yes.",
        you="Check client_secret_command in accounts.toml.",
    ),
    Explanation(
        "oauth-redirect", 10, "The redirect URI of the sign-in is not registered.",
        why="The provider returns a browser only to addresses in the client's registration.",
        admin="Register http://localhost as a mobile and desktop application (Microsoft), or "
        "create a client of the type Desktop app (Google).",
        you="Check the registration, or sign in another way: --flow device.",
    ),
    Explanation(
        "oauth-scope", 10, "The client or the flow may not ask for access to mail.",
        why="The scope is not in the client's registration, or not allowed in this flow. Google "
        "allows no scope for mail in the device flow.",
        admin="Add the scope to the registration. docs/how-to/sign-in.md names the scopes.",
        you="Remove scope from accounts.toml, to get the provider's own. At Google, use --flow "
        "loopback or --paste.",
    ),
    Explanation(
        "oauth-account", 7, "The browser signed in with another account, or one of another kind.",
        why="The account is not known in this organisation, or the client is only for other kinds "
        "of accounts.",
        admin="Check the supported account types of the client.",
        you="Sign out in the browser, then sign in as the account of the mailbox. Set tenant to "
        '"consumers" for a personal account, or to "organizations".',
    ),
    Explanation(
        "oauth-code", 7, "The code of the sign-in has expired, or it was used already.",
        why="Codes are valid for minutes, and once.",
        admin="Nothing.",
        you="Sign in again: pop3 login ACCOUNT.",
    ),
    Explanation(
        "oauth-busy", 8, "The issuer cannot answer now. The sign-in is kept.",
        why="The issuer has trouble, or it limits how often a program asks.",
        admin="Check how often programs ask for tokens with this client id.",
        you="Wait some minutes, and try again. Do not sign in again.",
    ),
    Explanation(
        "oauth-clock", 1, "The clock of this machine is wrong.",
        why="By this clock, the token begins in the future, so the time of one of the machines is "
        "wrong.",
        admin="Let the machine set its clock by NTP.",
        you="Set the clock, then try again.",
    ),
    Explanation(
        "oauth-store", 10, "The stored tokens of the account cannot be used.",
        why="The reason is shown above. Nothing was sent.",
        admin="Nothing.",
        you="Correct the reason, or sign in again: pop3 login ACCOUNT.",
        more="Tokens are used only if no other user can read them: the folder tokens has the mode "
        "0700 and its files 0600. They are sent only to the server that they are for.",
    ),
    Explanation(
        "token-audience", 7, "The token is for another service, not for POP at this server.",
        why="A token for Graph or another API does not open a mailbox by POP. The claims aud and "
        "scp, shown above, say what it is for.",
        admin="Give the client the permission POP.AccessAsUser.All, or POP.AccessAsApp for client "
        "credentials.",
        you="Remove scope from accounts.toml and sign in again. pop3 token ACCOUNT --show shows "
        "the claims.",
    ),
    Explanation(
        "token-user", 7, "The token belongs to another account than the login name.",
        why="A server accepts a token only for its own user. In a shared mailbox, the name is the "
        "shared address and the token is yours.",
        admin="For a shared mailbox, give the user full access: Add-MailboxPermission.",
        you="Sign in as the account of the mailbox. For a shared mailbox, wait up to an hour after "
        "access was given, or correct account or login_as in accounts.toml.",
    ),
    Explanation(
        "token-refused", 7, "The server refused the access token.",
        why="The token is not valid for this account at this server. The server does not say more.",
        admin="Check the issuer, the audience and the user claim in the server's settings.",
        you="Check the user name. Then sign in again: pop3 login ACCOUNT.",
    ),
    Explanation(
        "pop-off", 10, "The token is right, so POP is switched off for this mailbox.",
        why="The token is for POP, and for this user. Exchange Online then rejects the login with "
        '"Logon failure: unknown user name or bad password".',
        admin="Run Set-CASMailbox USER -PopEnabled $true, and check the organisation's setting.",
        you="Switch POP on in Outlook on the web: Settings, Mail, Forwarding and IMAP. Changes "
        "need up to an hour.",
    ),
)  # fmt: skip
