/* What a client says in a session, and what it must hear. */
#ifndef SCRIPT_H
#define SCRIPT_H

/* What a reply consists of: one line; STAT's line; lines, one for each message; the same with the
 * sizes; a message as big as LIST said; a message's beginning. */
enum kind { STATUS, STAT, UIDS, SIZES, MESSAGE, HEADER };

struct batch {              /* sent in one piece; its replies are alike */
    char *text;
    int length, replies;
    int number;             /* of the message that its first reply is about */
    enum kind kind;
};

struct script {
    struct batch *batches;
    int count;
    int from, to;           /* the clock runs from before one batch until after another */
};

enum { GREETING, USER, PASS };  /* the batches that every session begins with */

/* Return the script of a scenario with so many messages in the maildrop; NULL if there is none. */
struct script *write_script(const char *scenario, int messages);

#endif
