/* The scenarios. */
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_COMMAND = 32 };

static void add(struct script *s, char *text, int replies, int number, enum kind kind) {
    s->batches[s->count++] = (struct batch){text, (int)strlen(text), replies, number, kind};
}

static void say(struct script *s, const char *text, enum kind kind) {
    add(s, strdup(text), 1, 0, kind);
}

static void say_each(struct script *s, const char *form, int messages, enum kind kind) {
    for (int n = 1; n <= messages; n++) {
        char command[LONGEST_COMMAND];
        snprintf(command, sizeof command, form, n);
        add(s, strdup(command), 1, n, kind);
    }
}

static void say_at_once(struct script *s, const char *form, int messages, enum kind kind) {
    char *text = malloc((size_t)messages * LONGEST_COMMAND + 1), *end = text;
    for (int n = 1; n <= messages; n++) end += sprintf(end, form, n);
    add(s, text, messages, 1, kind);
}

static void login(struct script *s, int messages) { (void)s, (void)messages; }

static void stat(struct script *s, int messages) {
    (void)messages;
    say(s, "STAT\r\n", STAT);           /* some open the maildrop only now */
    say(s, "STAT\r\n", STAT);
    s->from = s->to = s->count - 1;
}

static void open_maildrop(struct script *s, int messages) {
    (void)messages;
    say(s, "STAT\r\n", STAT);
    s->from = PASS, s->to = s->count - 1;
}

static void first(struct script *s, int messages) { (void)messages, s->to = PASS; }

static void poll(struct script *s, int messages) {
    (void)messages;
    say(s, "STAT\r\n", STAT);
    say(s, "UIDL\r\n", UIDS);
}

static void drain(struct script *s, int messages) {
    say(s, "STAT\r\n", STAT);
    say(s, "LIST\r\n", SIZES);
    say_each(s, "RETR %d\r\n", messages, MESSAGE);
}

static void pipelined(struct script *s, int messages) {
    say(s, "STAT\r\n", STAT);
    say(s, "LIST\r\n", SIZES);
    say_at_once(s, "RETR %d\r\n", messages, MESSAGE);
}

static void top(struct script *s, int messages) {
    say(s, "STAT\r\n", STAT);
    say_each(s, "TOP %d 0\r\n", messages, HEADER);
}

static void dele(struct script *s, int messages) {
    say(s, "STAT\r\n", STAT);
    say_each(s, "DELE %d\r\n", messages, STATUS);
    say(s, "RSET\r\n", STATUS);         /* so that the next session finds the same */
}

static const struct {
    const char *name;
    void (*write)(struct script *s, int messages);
} scenarios[] = {
    {"login", login}, {"poll", poll}, {"drain", drain}, {"pipelined", pipelined}, {"top", top},
    {"dele", dele},   {"idle", login}, {"storm", first}, {"fairness", first},
    {"open", open_maildrop}, {"stat", stat},
};

struct script *write_script(const char *scenario, int messages) {
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (strcmp(scenarios[i].name, scenario)) continue;
        struct script *s = calloc(1, sizeof *s);
        s->batches = calloc((size_t)messages + 8, sizeof *s->batches);
        s->to = -1;
        say(s, "", STATUS);             /* the server speaks first */
        say(s, "", STATUS);             /* USER, which the session fills in */
        say(s, "PASS secret\r\n", STATUS);
        scenarios[i].write(s, messages);
        if (strcmp(scenario, "idle")) say(s, "QUIT\r\n", STATUS);
        if (s->to < 0) s->to = s->count - 1;
        return s;
    }
    return NULL;
}
