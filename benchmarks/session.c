/* A session of one client: sends a script, and checks every line that comes. */
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 256 * 1024, LONGEST_NAME = 64 };

long octets, replies;
int messages, may_refuse, exact = 1, first_user;

static char room[LONGEST_LINE + ROOM];  /* one for all, so that it stays in the processor's cache */

double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const struct batch *present(const struct session *s) { return &s->script->batches[s->batch]; }

_Noreturn void fail(const struct session *s, const char *what, const char *line, size_t length) {
    int shown = length > 200 ? 200 : (int)length;
    const char *said = s->batch == GREETING ? "connecting\r\n"
                       : s->batch == USER ? "USER\r\n" : present(s)->text;
    fprintf(stderr, "u%d: %s: %.*s\nafter: %.60s", first_user + s->user, what, shown, line, said);
    exit(1);
}

void begin(struct session *s, const struct sockaddr_in *server) {
    int one = 1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s->fd < 0) fail(s, "socket", strerror(errno), 100);
    s->begun = s->clocked = now();
    s->batch = GREETING, s->left = 1, s->in_body = 0, s->rest_length = 0, s->refused = 0;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int failed = connect(s->fd, (const struct sockaddr *)server, sizeof *server);
    if (failed && errno != EINPROGRESS) fail(s, "connect", strerror(errno), 100);
    s->tls = tls_begin(s->fd, &s->ticket);
}

void end(struct session *s) {
    tls_end(s->tls);
    close(s->fd);
    s->tls = NULL, s->fd = -1;
}

static void send_batch(struct session *s) {
    char name[LONGEST_NAME];
    const struct batch *b = present(s);
    const char *text = b->text;
    int length = b->length;
    if (s->batch == USER) {
        length = snprintf(name, sizeof name, "USER u%d\r\n", first_user + s->user);
        text = name;
    }
    if (s->batch == s->script->from) s->clocked = now();
    /* A batch fits into the socket's buffer, unless the server does not read. */
    if (tls_send(s->tls, s->fd, text, (size_t)length) != length) {
        fail(s, "cannot send", strerror(errno), 100);
    }
    s->left = b->replies;
}

static void check_stat(const struct session *s, const char *line, size_t length) {
    int count;
    if (sscanf(line, "+OK %d ", &count) != 1 || count != messages) {
        fail(s, "STAT has another number of messages", line, length);
    }
}

/* Every message has its line, in order; LIST's tell the sizes. */
static void take_entry(struct session *s, enum kind kind, const char *line, size_t length) {
    char *end;
    long number = strtol(line, &end, 10);
    if (number != s->lines || number > messages || *end != ' ') {
        fail(s, "the list is out of order", line, length);
    }
    if (kind == SIZES) s->sizes[number] = strtol(end, NULL, 10);
}

/* The reply is complete: is it as long as it should be? */
static void check_body(const struct session *s) {
    const struct batch *b = present(s);
    int number = b->number + b->replies - s->left;
    if ((b->kind == UIDS || b->kind == SIZES) && s->lines != messages) {
        fail(s, "the list has another number of messages", "", 0);
    }
    if (b->kind == MESSAGE && exact && s->size != s->sizes[number]) {
        char told[80];
        int length = snprintf(told, sizeof told, "%ld octets, not %ld", s->size, s->sizes[number]);
        fail(s, "the message has another size than LIST said", told, (size_t)length);
    }
    if (b->kind == HEADER && !s->size) fail(s, "TOP is empty", "", 0);
}

static void take_status(struct session *s, const char *line, size_t length) {
    enum kind kind = present(s)->kind;
    if (length < 5 || memcmp(line, "+OK", 3)) {
        if (may_refuse && s->batch <= PASS) s->refused = 1;
        else fail(s, "refused", line, length);
    }
    if (kind == STAT) check_stat(s, line, length);
    if (kind == STATUS || kind == STAT) s->left--, replies++;
    else s->in_body = 1, s->lines = 0, s->size = 0;
}

static void take_body(struct session *s, const char *line, size_t length) {
    int stuffed = line[0] == '.';
    if (stuffed && length == 3) {
        check_body(s);
        s->in_body = 0, s->left--, replies++;
        return;
    }
    s->lines++;
    s->size += (long)length - stuffed;
    enum kind kind = present(s)->kind;
    if (kind == SIZES || kind == UIDS) take_entry(s, kind, line, length);
}

static void take(struct session *s, const char *line, size_t length) {
    if (length < 2 || line[length - 2] != '\r') fail(s, "a line ends without CR", line, length);
    if (!s->left) fail(s, "the server said more than it was asked", line, length);
    if (s->in_body) take_body(s, line, length);
    else take_status(s, line, length);
}

/* All replies of a batch are there: go on to the next. Return 1 when there is none. */
static int advance(struct session *s) {
    if (s->batch == s->script->to) s->clocked = now() - s->clocked;
    if (s->batch + 1 == s->script->count) return 1;
    s->batch++;
    send_batch(s);
    return 0;
}

/* Read into the room, behind what is left of the last time. Return the end of it all. */
static char *receive(struct session *s) {
    memcpy(room, s->rest, (size_t)s->rest_length);
    ssize_t n = tls_recv(s->tls, s->fd, room + s->rest_length, ROOM);
    if (n > 0) {
        octets += n;
        return room + s->rest_length + n;
    }
    if (n < 0 && errno == EAGAIN) return room + s->rest_length;
    if (may_refuse && s->batch <= PASS) s->refused = 1;
    else fail(s, "the connection broke", n ? strerror(errno) : "the server hung up", 100);
    return room;
}

int hear(struct session *s) {
    char *at = room, *end = receive(s), *feed;
    while (!s->refused && (feed = memchr(at, '\n', (size_t)(end - at)))) {
        take(s, at, (size_t)(feed + 1 - at));
        at = feed + 1;
        if (!s->left && at == end) {
            s->rest_length = 0;
            return s->refused || advance(s);
        }
    }
    if (s->refused) return 1;
    if (end - at > LONGEST_LINE) fail(s, "a line has no end", at, 200);
    s->rest_length = (int)(end - at);
    memcpy(s->rest, at, (size_t)s->rest_length);
    return 0;
}
