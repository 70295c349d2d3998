"""Fetching mail into other mailboxes."""

from restante.diagnosis.explanations.explanation import Explanation

FETCH = (
    Explanation(
        "fetch-busy", 9, "Another process is fetching this account.",
        why="Only one process at a time may fetch an account. Its lock ends with the process.",
        you="Wait until that process has ended. Nothing else is needed.",
    ),
    Explanation(
        "fetch-delivery", 12, "The destination does not accept mail now.",
        why="Nothing was lost: a message stays at its server until all destinations have it.",
        admin="Remove the cause shown above: a full disk, a quota, a server that is down.",
        you="Remove the cause shown above, such as a wrong password, and run the command again. It "
        "goes on where it stopped.",
    ),
    Explanation(
        "fetch-journal", 14, "The journal of fetched mail is missing or damaged.",
        why="Without the journal, all messages that were fetched before would come twice.",
        you="Restore the file, or run once with --mark-all: what is at the server now counts as "
        "fetched then. With --begin everything is fetched, also what came before.",
        more="The journal is a database in the state folder, by default "
        "~/.local/state/restante/fetch.db. Keep this folder where it survives restarts: a "
        "container requires a volume for it.",
    ),
    Explanation(
        "journal-unusable", 14, "The journal of fetched mail cannot be used now.",
        why="The cause is above: a full disk, permissions, another program, or a newer version of "
        "Restante. The journal is there, and no mail is lost.",
        you="Remove the cause, and run the command again. It goes on where it stopped. Do not use "
        "--mark-all or --begin: mail would be left out, or come twice.",
    ),
    Explanation(
        "uids-changed", 14, "The server has new unique-ids for all messages.",
        why="That happens after a move to another server. All messages would be fetched again.",
        you="Run once with --match: known messages are found again by their headers. Or run once "
        "with --mark-all, and all that is there now counts as fetched.",
    ),
    Explanation(
        "retr-mixed", 1, "RETR and TOP show different messages under one number.",
        why="The server may mix up its messages: a deletion could remove mail that never came. "
        "Such messages stay at the server.",
        admin="Rebuild the index of the mailbox.",
        you="Compare what came with the server's webmail before you delete it there.",
    ),
    Explanation(
        "fetch-short", 1, "A message came much shorter than LIST says, so it stays at the server.",
        why="It is delivered, but the server may have ended it too early, and have the "
        "only whole copy.",
        admin="Compare the message in the store with its size in LIST.",
        you="Compare what came with the message in web mail. If it is whole, delete it there, or "
        "with `pop3 rm`.",
    ),
    Explanation(
        "fetch-doubt", 1, "A message may be at the destination twice.",
        why="An earlier run was killed while the message was delivered, and this destination "
        "cannot say whether it arrived. A double is better than a loss.",
        you="Delete the double. Each copy has the same field X-Restante-Fetch, by which Sieve's "
        "duplicate test (RFC 7352) can drop the second one.",
    ),
    Explanation(
        "fetch-notify", 1, "The command of notify failed.",
        why="It could not be run, its exit code was not 0, or it needed more than a minute. "
        "The mail is not affected.",
        you="Correct notify in accounts.toml. Run the command by hand to see what is wrong.",
    ),
    Explanation(
        "fetch-dele", 1, "The server rejected the deletion of a message that was fetched.",
        why="The message is delivered. It stays at the server until a later run can delete it.",
        admin="Find out why DELE is rejected.",
        you="Nothing, if it passes. Else allow deletion for this account.",
    ),
)  # fmt: skip
