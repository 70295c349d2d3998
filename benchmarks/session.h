/* A session of one client: sends a script, and checks every line that comes. */
#ifndef SESSION_H
#define SESSION_H

#include <netinet/in.h>
#include <stddef.h>

#include "script.h"
#include "tls.h"

enum { LONGEST_LINE = 4096 };

struct session {
    const struct script *script;
    int fd, user;
    struct tls *tls;            /* NULL in clear */
    void *ticket;               /* to resume TLS with; the next session's too */
    int batch, left;            /* where in the script; replies that are still to come */
    int in_body, lines;         /* whether the first line of a reply is past; lines since then */
    int refused;                /* the server did not let it in */
    long size;                  /* octets of the message so far */
    long *sizes;                /* as LIST said, by number */
    double begun, clocked;      /* when it was opened, and when the clock was started; then its seconds */
    double due;                 /* when the next one may begin */
    int rest_length;
    char rest[LONGEST_LINE];    /* a line of which the end is still to come */
};

extern long octets, replies;    /* received by all sessions */
extern int messages;            /* that each maildrop has */
extern int may_refuse;          /* whether to be turned away is a result rather than a failure */
extern int exact;               /* whether a message must have the size that LIST said */
extern int first_user;          /* the number in the name of the first user */

double now(void);               /* seconds */
_Noreturn void fail(const struct session *s, const char *what, const char *line, size_t length);

/* Open a connection; the greeting is then awaited. */
void begin(struct session *s, const struct sockaddr_in *server);

/* Close a connection. */
void end(struct session *s);

/* Take what the server sent, and answer it. Return 1 when the session is over. */
int hear(struct session *s);

#endif
