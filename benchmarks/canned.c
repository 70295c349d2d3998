/* The upper bound: a POP3 server that answers from memory, with no login, no storage and no limit.
 *
 *   canned PORT MESSAGES OCTETS
 *
 * Every maildrop has so many messages of about so many octets. One thread, epoll, one write for all
 * that a client asked at once. Ends on SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_INPUT = 64 * 1024, AT_ONCE = 256, LINE = 78 };

struct text { char *at; size_t length; };

struct client {
    int fd, waits, leaves;      /* waits: for room to send; leaves: has said QUIT */
    size_t filled, unsent, sent, room;
    char *out, in[MOST_INPUT];
};

static struct text greeting, ok, stat, list, uidl, retr, top;

static struct text text(const char *plain) { return (struct text){strdup(plain), strlen(plain)}; }

static void append(struct text *t, const char *more) {
    size_t length = strlen(more);
    t->at = realloc(t->at, t->length + length + 1);
    memcpy(t->at + t->length, more, length + 1);
    t->length += length;
}

static void prepare(int messages, long octets) {
    const char *header = "From: Ann <ann@example.com>\r\nTo: bob@example.com\r\nSubject: hello\r\n\r\n";
    char line[LINE + 1], size[64];
    memset(line, 'x', LINE);
    strcpy(line + LINE - 2, "\r\n");
    long lines = (octets - (long)strlen(header)) / LINE + 1;
    long whole = (long)strlen(header) + lines * LINE;
    greeting = text("+OK ready\r\n"), ok = text("+OK\r\n");
    list = text("+OK\r\n"), uidl = text("+OK\r\n"), retr = text("+OK\r\n"), top = text("+OK\r\n");
    append(&top, header), append(&top, ".\r\n");
    append(&retr, header);
    for (long n = 0; n < lines; n++) append(&retr, line);
    append(&retr, ".\r\n");
    for (int n = 1; n <= messages; n++) {
        snprintf(size, sizeof size, "%d %ld\r\n", n, whole), append(&list, size);
        snprintf(size, sizeof size, "%d 1780000000.M%dP1.bench\r\n", n, n), append(&uidl, size);
    }
    append(&list, ".\r\n"), append(&uidl, ".\r\n");
    snprintf(size, sizeof size, "+OK %d %ld\r\n", messages, messages * whole);
    stat = text(size);
}

static const struct text *answer(struct client *c, const char *line) {
    switch (line[0]) {
    case 'S': return &stat;
    case 'L': return &list;
    case 'T': return &top;
    case 'Q': c->leaves = 1; return &ok;
    case 'R': return line[1] == 'E' ? &retr : &ok;     /* or RSET */
    case 'U': return line[1] == 'I' ? &uidl : &ok;     /* or USER */
    default: return &ok;
    }
}

static void put(struct client *c, const struct text *reply) {
    if (c->unsent + reply->length > c->room) {
        c->room = 2 * (c->unsent + reply->length);
        c->out = realloc(c->out, c->room);
    }
    memcpy(c->out + c->unsent, reply->at, reply->length);
    c->unsent += reply->length;
}

static void drop(struct client *c) {
    close(c->fd);
    free(c->out);
    free(c);
}

/* Send what there is. Return 0 when the client is gone. */
static int flush(struct client *c, int epoll) {
    ssize_t n = send(c->fd, c->out + c->sent, c->unsent - c->sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return 0;
    if (n > 0) c->sent += (size_t)n;
    int waits = c->sent < c->unsent;
    if (waits != c->waits) {
        struct epoll_event event = {.events = waits ? EPOLLOUT : EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
        c->waits = waits;
    }
    if (!waits) c->sent = c->unsent = 0;
    return waits || !c->leaves;
}

static int serve(struct client *c) {
    ssize_t n = recv(c->fd, c->in + c->filled, MOST_INPUT - c->filled, 0);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    c->filled += (size_t)n;
    char *at = c->in, *end = c->in + c->filled, *feed;
    while ((feed = memchr(at, '\n', (size_t)(end - at)))) {
        put(c, answer(c, at));
        at = feed + 1;
    }
    c->filled = (size_t)(end - at);
    memmove(c->in, at, c->filled);
    return 1;
}

static void welcome(int listener, int epoll) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct client *c = malloc(sizeof *c);
        memset(c, 0, offsetof(struct client, in));
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        put(c, &greeting);
        if (!flush(c, epoll)) drop(c);
    }
}

static int listen_at(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) || listen(fd, 1024)) {
        perror("canned");
        exit(1);
    }
    return fd;
}

int main(int count, char **arguments) {
    if (count != 4) {
        fputs("canned PORT MESSAGES OCTETS\n", stderr);
        return 2;
    }
    prepare(atoi(arguments[2]), atol(arguments[3]));
    int listener = listen_at(atoi(arguments[1])), epoll = epoll_create1(0);
    struct epoll_event events[AT_ONCE], event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, AT_ONCE, -1);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (!c) welcome(listener, epoll);
            else if ((!c->waits && !serve(c)) || !flush(c, epoll)) drop(c);
        }
    }
}
