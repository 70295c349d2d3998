/* A load for POP3 servers, lean enough not to be the limit: one thread, epoll, every reply checked.
 *
 *   load PORT SCENARIO [users=N] [messages=N] [connections=N] [seconds=S] [sessions=N] [pause=MS]
 *        [exact=0] [spin=1] [tls=1] [resume=1] [first=N]
 *
 * Users are u0, u1, ..., or with first=N uN, uN+1, ...; their password is "secret". Each connection has users of its own, so no two
 * sessions want one maildrop at once. It ends after so many seconds or sessions, and prints a line
 * of JSON; or at the first wrong reply, which it tells, with the exit code 1. A message that has
 * another size than LIST said is a wrong reply too, but with exact=0, for servers that never say
 * the right one.
 *
 * With spin=1 it never sleeps, for when it has a core of its own: to wake another core costs a server
 * on the same machine more than many a command, and no client on a network makes it pay that.
 *
 * With tls=1 it speaks TLS from the first octet and takes any certificate; each session has a full
 * handshake. With resume=1 as well, a connection's later sessions show the ticket of the one before.
 *
 * Three scenarios are of another kind:
 *   storm     opens all connections at once, each for one session; being turned away is counted
 *   fairness  the first connection downloads all the time; only the others' logins are clocked
 *   idle      logs in on each connection, says "ready", and waits for the end of its standard input
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "session.h"

enum { MOST_TIMES = 1 << 22, AT_ONCE = 256 };

static const char *scenario;
static int users = 1, connections = 1, most = MOST_TIMES, epoll;
static double seconds = 1, pause_ms;
static struct sockaddr_in server;
static struct session *all;
static double *times;
static int begun, over, clocked, refused, spin, tls, resume;
static double rested;               /* seconds of its core in which it had nothing to do */

static double processor(void) {
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static int is(const char *name) { return !strcmp(scenario, name); }

static void read_option(const char *option) {
    double value;
    char key[16] = "";
    if (sscanf(option, "%15[a-z]=%lf", key, &value) != 2 || value < 0) value = -1;
    if (value >= 0 && !strcmp(key, "users")) users = (int)value;
    else if (value >= 0 && !strcmp(key, "messages")) messages = (int)value;
    else if (value >= 0 && !strcmp(key, "connections")) connections = (int)value;
    else if (value >= 0 && !strcmp(key, "seconds")) seconds = value;
    else if (value >= 0 && !strcmp(key, "sessions")) most = (int)value;
    else if (value >= 0 && !strcmp(key, "pause")) pause_ms = value;
    else if (value >= 0 && !strcmp(key, "exact")) exact = (int)value;
    else if (value >= 0 && !strcmp(key, "spin")) spin = (int)value;
    else if (value >= 0 && !strcmp(key, "tls")) tls = (int)value;
    else if (value >= 0 && !strcmp(key, "resume")) resume = (int)value;
    else if (value >= 0 && !strcmp(key, "first")) first_user = (int)value;
    else {
        fprintf(stderr, "load: what is %s?\n", option);
        exit(2);
    }
}

static void start(struct session *s) {
    begin(s, &server);
    begun++;
    s->due = s->begun + pause_ms / 1000;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &event);
}

static void start_due(void) {
    for (int i = 0; i < connections; i++) {
        if (all[i].fd < 0 && begun < most && now() >= all[i].due) start(&all[i]);
    }
}

/* Its user is the next of those that belong to its connection. */
static void finish(struct session *s) {
    over++;
    if (s->refused) refused++;
    else if (!is("fairness") || s != all) times[clocked++] = s->clocked;
    if (is("idle")) return;
    end(s);
    if (s->user + connections < users) s->user += connections;
    else s->user %= connections;
}

static void prepare(void) {
    struct script *script = write_script(scenario, messages);
    if (!script) {
        fprintf(stderr, "load: no scenario %s\n", scenario);
        exit(2);
    }
    if (is("idle") || is("storm")) most = connections;
    if (most > MOST_TIMES) most = MOST_TIMES;
    may_refuse = is("storm");
    if (tls) use_tls(resume);
    times = malloc(MOST_TIMES * sizeof *times);
    all = calloc((size_t)connections, sizeof *all);
    for (int i = 0; i < connections; i++) {
        all[i].script = script, all[i].fd = -1, all[i].user = i % users;
        all[i].sizes = calloc((size_t)messages + 1, sizeof *all[i].sizes);
    }
    if (is("fairness")) all[0].script = write_script("drain", messages);
}

static double run(void) {
    struct epoll_event events[AT_ONCE];
    double from = now(), until = from + seconds;
    epoll = epoll_create1(0);
    start_due();
    while (now() < until && over < most) {
        double asked = spin ? processor() : 0;
        int n = epoll_wait(epoll, events, AT_ONCE, spin ? 0 : pause_ms > 0 ? 1 : 100);
        if (spin && !n) rested += processor() - asked;
        for (int i = 0; i < n; i++) {
            struct session *s = events[i].data.ptr;
            if (!hear(s)) continue;
            finish(s);
            if (s->fd < 0 && pause_ms == 0 && begun < most) start(s);
        }
        if (pause_ms > 0) start_due();
    }
    return now() - from;
}

static int earlier(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double milliseconds(double part) {
    return clocked ? times[(int)(part * (clocked - 1))] * 1000 : 0;
}

static void report(double took) {
    double cpu = processor() - rested;
    qsort(times, (size_t)clocked, sizeof *times, earlier);
    printf("{\"sessions\": %d, \"refused\": %d, \"seconds\": %.4f, \"octets\": %ld, "
           "\"replies\": %ld, \"resumed\": %ld, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f, "
           "\"cpu\": %.4f}\n",
           clocked, refused, took, octets, replies, resumed, milliseconds(0.5), milliseconds(0.99),
           milliseconds(1), cpu);
}

int main(int count, char **arguments) {
    if (count < 3) {
        fputs("load PORT SCENARIO [users=N] [messages=N] [connections=N] [seconds=S] "
              "[sessions=N] [pause=MS] [exact=0] [spin=1] [tls=1] [resume=1] [first=N]\n", stderr);
        return 2;
    }
    scenario = arguments[2];
    for (int i = 3; i < count; i++) read_option(arguments[i]);
    server.sin_family = AF_INET, server.sin_port = htons((uint16_t)atoi(arguments[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    prepare();
    double took = run();
    if (is("idle") && over == connections) {
        puts("ready");
        fflush(stdout);
        while (getchar() != EOF) {}
    } else if (is("idle")) {
        fprintf(stderr, "load: only %d of %d logged in\n", over, connections);
        return 1;
    }
    report(took);
    return 0;
}
