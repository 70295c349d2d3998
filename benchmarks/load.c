/* A load for POP3 servers, lean enough not to be the limit: one thread, epoll, every reply checked.
 *
 *   load PORT SCENARIO USERS MESSAGES CONNECTIONS SECONDS
 *
 * Users are u0, u1, ..., their password is "secret". Each connection has users of its own, so no two
 * sessions want one maildrop at once. Prints one line of JSON. Ends after SECONDS, or when a reply
 * is wrong. The scenario "idle" logs in CONNECTIONS times, says "ready", and waits for the end of
 * its standard input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 256 * 1024, MOST_BATCHES = 4096, MOST_TIMES = 1 << 22 };

struct batch { char *text; int length, replies, multi; };   /* sent at once; its replies are alike */

struct connection {
    int fd, user, batch, left, in_body, ready;
    size_t filled;
    double begun;
    char *buffer;
};

static struct batch script[MOST_BATCHES];
static int batches, connections, users, idle, logged_in;
static struct sockaddr_in server;
static double *times, over;
static long sessions, octets, replies;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what, const char *reply, size_t length) {
    fprintf(stderr, "%s: %.*s\n", what, (int)(length > 200 ? 200 : length), reply);
    exit(1);
}

static void say(const char *text, int replies, int multi) {
    script[batches++] = (struct batch){strdup(text), (int)strlen(text), replies, multi};
}

static void each(const char *form, int messages, int multi, int at_once) {
    char *text = malloc((size_t)messages * 24 + 1), *end = text;
    for (int n = 1; n <= messages; n++) {
        char *begun = end;
        end += sprintf(end, form, n);
        if (!at_once) {
            say(begun, 1, multi);
            end = text;
        }
    }
    if (at_once) say(text, messages, multi);
    free(text);
}

static void write_script(const char *name, int messages) {
    say("", 1, 0);                      /* the greeting; then USER and PASS, by user */
    say("USER", 1, 0);
    say("PASS secret\r\n", 1, 0);
    if (!strcmp(name, "idle")) { idle = 1; return; }
    if (strcmp(name, "login")) say("STAT\r\n", 1, 0);
    if (!strcmp(name, "poll")) say("UIDL\r\n", 1, 1);
    if (!strcmp(name, "drain")) { say("LIST\r\n", 1, 1); each("RETR %d\r\n", messages, 1, 0); }
    if (!strcmp(name, "pipelined")) { say("LIST\r\n", 1, 1); each("RETR %d\r\n", messages, 1, 1); }
    if (!strcmp(name, "top")) each("TOP %d 0\r\n", messages, 1, 0);
    if (!strcmp(name, "dele")) { each("DELE %d\r\n", messages, 0, 0); say("RSET\r\n", 1, 0); }
    say("QUIT\r\n", 1, 0);
}

static void begin(struct connection *c, int epoll) {
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server)) { perror("connect"); exit(1); }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
    c->batch = 0, c->left = 1, c->in_body = 0, c->filled = 0, c->begun = now();
}

static void send_batch(struct connection *c) {
    char name[64];
    struct batch *b = &script[c->batch];
    const char *text = b->text;
    int length = b->length;
    if (c->batch == 1) {
        length = sprintf(name, "USER u%d\r\n", c->user);
        text = name;
    }
    for (int done = 0; done < length;) {
        ssize_t n = send(c->fd, text + done, (size_t)(length - done), MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) { perror("send"); exit(1); }
        if (n > 0) done += (int)n;
    }
    c->left = b->replies;
}

/* Take one reply out of what came; return how many octets it has, 0 when it is not all there. */
static size_t reply(struct connection *c, char *at, size_t length) {
    size_t head = 0;
    if (!c->in_body) {
        char *end = memchr(at, '\n', length);
        if (!end) return 0;
        if (at[0] != '+') fail(script[c->batch].text, at, length);
        head = (size_t)(end - at) + 1;
        if (!script[c->batch].multi) return head;
        c->in_body = 1;
    }
    size_t from = head >= 2 ? head - 2 : 0;   /* the end of a line stands before the first */
    char *dot = memmem(at + from, length - from, "\r\n.\r\n", 5);
    if (dot) {
        c->in_body = 0;
        return (size_t)(dot - at) + 5;
    }
    return 0;
}

static int receive(struct connection *c) {     /* 1 when the session is over */
    ssize_t n = recv(c->fd, c->buffer + c->filled, ROOM - c->filled, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) fail("the server hung up after", script[c->batch].text, 40);
    octets += n;
    c->filled += (size_t)n;
    size_t at = 0, taken;
    for (;;) {
        while (c->left && (taken = reply(c, c->buffer + at, c->filled - at))) {
            at += taken, c->left--, replies++;
        }
        if (c->left) break;
        if (c->batch == 2 && idle) { logged_in++; return 0; }
        if (++c->batch == batches) return 1;
        send_batch(c);
    }
    size_t rest = c->filled - at;
    if (c->in_body && rest > 4) rest = 4;      /* of a long body only what may begin its end */
    memmove(c->buffer, c->buffer + c->filled - rest, rest);
    c->filled = rest;
    return 0;
}

static int earlier(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double part) {
    return sessions ? times[(long)(part * (double)(sessions - 1))] * 1000 : 0;
}

int main(int argc, char **argv) {
    if (argc != 7) { fputs("load PORT SCENARIO USERS MESSAGES CONNECTIONS SECONDS\n", stderr); return 2; }
    users = atoi(argv[3]), connections = atoi(argv[5]);
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    write_script(argv[2], atoi(argv[4]));
    times = malloc(MOST_TIMES * sizeof *times);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    int epoll = epoll_create1(0);
    double begun = now();
    over = begun + atof(argv[6]);
    for (int i = 0; i < connections; i++) {
        all[i].buffer = malloc(idle ? 4096 : ROOM);
        all[i].user = i % users;
        begin(&all[i], epoll);
    }
    struct epoll_event events[256];
    while (now() < over && sessions < MOST_TIMES && !(idle && logged_in == connections)) {
        int n = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!receive(c)) continue;
            times[sessions++] = now() - c->begun;
            close(c->fd);
            c->user = (c->user + connections) % users;
            if (now() < over) begin(c, epoll);
        }
    }
    if (idle) {
        printf("ready\n");
        fflush(stdout);
        while (getchar() != EOF) {}
        return 0;
    }
    double seconds = now() - begun;
    qsort(times, (size_t)sessions, sizeof *times, earlier);
    printf("{\"sessions\": %ld, \"seconds\": %.4f, \"octets\": %ld, \"replies\": %ld, "
           "\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}\n",
           sessions, seconds, octets, replies, percentile(0.5), percentile(0.99), percentile(1));
    return 0;
}
